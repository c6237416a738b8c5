package llmlab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	budgetsAgain       = 30 * time.Second
	budgetsLeast       = 5 * time.Second
	budgetsAfterFailed = time.Minute
)

// ServerBudget is a budget set in LLMLab, as the server last told it. Amounts are decimals with every digit.
type ServerBudget struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Scope        string    `json:"scope"`
	Value        string    `json:"value"`
	AmountUSD    string    `json:"amount_usd"`
	SpentUSD     string    `json:"spent_usd"`
	RemainingUSD string    `json:"remaining_usd"`
	IsHard       bool      `json:"is_hard"`
	ResetsAt     time.Time `json:"resets_at"`
	Outlook      string    `json:"outlook"`
	// CountsEveryCall of the project or its key; else it depends on the call's user, model or tags.
	CountsEveryCall bool `json:"counts_every_call"`
	// CountsByRules: a team's, by allocation rules. Which calls count is the server's to tell.
	CountsByRules bool `json:"counts_by_rules"`
}

// Budgets asks the server for the budgets that calls of the project may count towards, strictest first. Config.ServerBudgets
// lets recorded calls be refused by the hard ones.
func (c *Client) Budgets(ctx context.Context) ([]ServerBudget, error) {
	if c == nil || c.settings.APIKey == "" || c.settings.Project == "" {
		return nil, fmt.Errorf("llmlab: key or project missing")
	}
	if err := c.limits.read(ctx); err != nil {
		return nil, err
	}
	known, _ := c.limits.known()
	return append([]ServerBudget(nil), known...), nil
}

func (b *ServerBudget) counts(user, model string, tags []string) bool {
	if b.CountsEveryCall {
		return true
	}
	if b.CountsByRules {
		return false
	}
	switch b.Scope {
	case "user":
		return b.Value != "" && b.Value == user
	case "model":
		return b.Value != "" && b.Value == model
	case "tag", "team":
		wanted := b.Value
		if b.Scope == "team" {
			wanted = "team:" + wanted
		}
		for _, tag := range tags {
			if tag == wanted {
				return true
			}
		}
	}
	return false
}

// refuses: a hard one with nothing left, until it resets.
func (b *ServerBudget) refuses(now time.Time) bool {
	if !b.IsHard || !now.Before(b.ResetsAt) {
		return false
	}
	left, ok := new(big.Rat).SetString(b.RemainingUSD)
	return ok && left.Sign() <= 0
}

// firstRefusing is the first budget that counts the call and refuses it (sdks/contract/budgets.json). The model is only
// asked for where one decides.
func firstRefusing(budgets []ServerBudget, now time.Time, user string, model func() string, tags []string) *ServerBudget {
	for i := range budgets {
		one := &budgets[i]
		if !one.refuses(now) {
			continue
		}
		named := ""
		if one.Scope == "model" && !one.CountsEveryCall {
			named = model()
		}
		if one.counts(user, named, tags) {
			return one
		}
	}
	return nil
}

// limits are what the server last said. Reading again never holds up a call.
type limits struct {
	settings  *settings
	client    *http.Client
	ctx       context.Context
	mu        sync.Mutex
	budgets   []ServerBudget
	etag      string
	next      time.Time
	isReading bool
}

func newLimits(s *settings, ctx context.Context) *limits {
	return &limits{
		settings: s, ctx: ctx,
		client: &http.Client{Timeout: s.Timeout, Transport: ownTransport(), CheckRedirect: asItIs},
	}
}

func (l *limits) known() ([]ServerBudget, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budgets, l.etag
}

// refresh reads again in the background if it is time.
func (l *limits) refresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isReading || time.Now().Before(l.next) || l.ctx.Err() != nil {
		return
	}
	l.isReading = true
	go func() {
		_ = l.read(l.ctx)
		l.mu.Lock()
		l.isReading = false
		l.mu.Unlock()
	}()
}

// check refuses a call that a hard budget refuses, by what is known.
func (l *limits) check(ctx context.Context, model func() string) error {
	l.refresh()
	budgets, _ := l.known()
	if len(budgets) == 0 {
		return nil
	}
	user, tags := "", []string(nil)
	if step := StepFrom(ctx); step != nil {
		step.trace.mu.Lock()
		user, tags = step.trace.user, step.trace.tags
		step.trace.mu.Unlock()
	}
	found := firstRefusing(budgets, time.Now(), user, model, tags)
	if found == nil {
		return nil
	}
	return fmt.Errorf("%w: the budget %q of LLMLab is spent (%s of %s USD) until %s", ErrBudgetExceeded,
		found.Name, found.SpentUSD, found.AmountUSD, found.ResetsAt.UTC().Format("2006-01-02 15:04 MST"))
}

// read asks the server once.
func (l *limits) read(ctx context.Context) error {
	wait, err := l.ask(ctx)
	l.mu.Lock()
	l.next = time.Now().Add(wait)
	l.mu.Unlock()
	return err
}

func (l *limits) ask(ctx context.Context) (time.Duration, error) {
	address := l.settings.BaseURL + "/api/v1/projects/" + url.PathEscape(l.settings.Project) + "/budgets"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return budgetsAfterFailed, fmt.Errorf("llmlab: budgets could not be read: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+l.settings.APIKey)
	request.Header.Set("Accept", "application/json")
	if _, etag := l.known(); etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	response, err := l.client.Do(request)
	if err != nil {
		return budgetsAfterFailed, fmt.Errorf("llmlab: budgets could not be read: %w", err)
	}
	defer response.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch response.StatusCode {
	case http.StatusNotModified:
		return budgetsAgain, nil
	case http.StatusOK:
		return l.take(raw, response.Header.Get("ETag"))
	}
	detail := text(objectOf(raw)["detail"])
	err = fmt.Errorf("llmlab: budgets could not be read, the server answered %d: %s", response.StatusCode, detail)
	l.settings.tell.once("budgets", "budgets could not be read, nothing is refused: the server answered %d: %s",
		response.StatusCode, detail)
	return budgetsAfterFailed, err
}

func (l *limits) take(raw []byte, etag string) (time.Duration, error) {
	var answer struct {
		Results *[]ServerBudget `json:"results"`
		Poll    float64         `json:"poll_after_seconds"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Results == nil {
		l.settings.tell.once("budgets", "budgets could not be read, nothing is refused: the answer is none this version knows")
		return budgetsAfterFailed, fmt.Errorf("llmlab: the server's answer about budgets is none this version knows")
	}
	l.mu.Lock()
	l.budgets, l.etag = *answer.Results, etag
	l.mu.Unlock()
	wait := time.Duration(answer.Poll * float64(time.Second))
	if answer.Poll <= 0 || answer.Poll > 3600 {
		wait = budgetsAgain
	}
	if wait < budgetsLeast {
		wait = budgetsLeast
	}
	return wait, nil
}
