package llmlab

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The same patterns and order in all three SDKs; sdks/contract/masks.json has the cases.
var (
	emailPattern  = regexp.MustCompile(`[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}`)
	keyPattern    = regexp.MustCompile(`\b(?:sk-[A-Za-z0-9_-]{16,}|llmlab_sk_[A-Za-z0-9_-]{8,}|AKIA[0-9A-Z]{16}\b|gh[pousr]_[A-Za-z0-9]{20,}|xox[abp]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{20,}|Bearer [A-Za-z0-9._~+/=-]{16,})`)
	digitsPattern = regexp.MustCompile(`[0-9](?:[ -]?[0-9]){12,}`)
	groupPattern  = regexp.MustCompile(`[0-9]+`)
	phonePattern  = regexp.MustCompile(`\+?[0-9(][0-9 ().\-/]{5,22}[0-9]`)
	datePattern   = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}`)
	fourPattern   = regexp.MustCompile(`^[0-9]{1,3}(?:\.[0-9]{1,3}){3}$`)
)

// Applied in this order whatever order the names come in: a key may look like a number.
var builtinMasks = []struct {
	name string
	mask func(string) string
}{
	{"api_key", func(text string) string { return keyPattern.ReplaceAllString(text, "[api_key]") }},
	{"email", maskEmail},
	{"credit_card", func(text string) string { return digitsPattern.ReplaceAllStringFunc(text, withoutCards) }},
	{"phone", maskPhone},
}

const maskFailed = "[mask failed]"

// masker makes one function of all masks, nil without any. A function of the program that panics lets no text through.
func masker(names []string, own func(string) string, tell *teller) func(string) string {
	var masks []func(string) string
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[strings.TrimSpace(name)] = true
	}
	for _, builtin := range builtinMasks {
		if wanted[builtin.name] {
			masks = append(masks, builtin.mask)
			delete(wanted, builtin.name)
		}
	}
	for name := range wanted {
		if name != "" {
			tell.once("mask "+name, "there is no mask %q: known are api_key, email, credit_card, phone", name)
		}
	}
	if own != nil {
		masks = append(masks, guarded(own, tell))
	}
	if len(masks) == 0 {
		return nil
	}
	return func(text string) string {
		for _, mask := range masks {
			text = mask(text)
		}
		return text
	}
}

func guarded(mask func(string) string, tell *teller) func(string) string {
	return func(text string) (masked string) {
		defer func() {
			if fault := recover(); fault != nil {
				tell.once("mask panic", "MaskFunc panicked (%T); such texts are sent as %s", fault, maskFailed)
				masked = maskFailed
			}
		}()
		return mask(text)
	}
}

func maskEmail(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return emailPattern.ReplaceAllString(text, "[email]")
}

// withoutCards replaces the cards in a run of digits: whole groups, 13 to 19 digits, Luhn.
func withoutCards(run string) string {
	groups := groupPattern.FindAllStringIndex(run, -1)
	var kept strings.Builder
	done := 0
	for first := 0; first < len(groups); first++ {
		last := cardFrom(run, groups, first)
		if last < 0 {
			continue
		}
		kept.WriteString(run[done:groups[first][0]])
		kept.WriteString("[credit_card]")
		done, first = groups[last][1], last
	}
	kept.WriteString(run[done:])
	return kept.String()
}

// cardFrom finds the last group of the longest card that starts with group first, or -1.
func cardFrom(run string, groups [][]int, first int) int {
	digits, found := "", -1
	for i := first; i < len(groups); i++ {
		digits += run[groups[i][0]:groups[i][1]]
		if len(digits) > 19 {
			break
		}
		if len(digits) >= 13 && passesLuhn(digits) {
			found = i
		}
	}
	return found
}

func passesLuhn(digits string) bool {
	total := 0
	for place := 0; place < len(digits); place++ {
		digit := int(digits[len(digits)-1-place] - '0')
		if place%2 == 1 {
			if digit *= 2; digit > 9 {
				digit -= 9
			}
		}
		total += digit
	}
	return total%10 == 0
}

func maskPhone(text string) string {
	found := phonePattern.FindAllStringIndex(text, -1)
	if found == nil {
		return text
	}
	var kept strings.Builder
	done := 0
	for _, place := range found {
		if isPhone(text, place[0], place[1]) {
			kept.WriteString(text[done:place[0]])
			kept.WriteString("[phone]")
			done = place[1]
		}
	}
	kept.WriteString(text[done:])
	return kept.String()
}

func isPhone(text string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	after, _ := utf8.DecodeRuneInString(text[end:])
	if (start > 0 && isWord(before)) || (end < len(text) && isWord(after)) {
		return false
	}
	number := text[start:end]
	groups := groupPattern.FindAllString(number, -1)
	digits := len(strings.Join(groups, ""))
	if number[0] == '+' {
		return digits >= 8 && digits <= 15
	}
	if datePattern.MatchString(number) || fourPattern.MatchString(number) {
		return false
	}
	return (digits == 10 || digits == 11) && len(groups) >= 2
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }
