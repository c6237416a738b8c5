package llmlab

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxDepth     = 20
	maxText      = 1 << 20
	maxRepr      = 1000
	maxErrorText = 10_000
	maxItems     = 100_000
	maxValues    = 1_000_000
)

// snapshot copies a value into plain JSON values, so that the program may change it afterwards, and says roughly how many
// bytes the copy holds. What JSON has no word for becomes a text that says so.
func snapshot(value any) (copied any, size int) {
	defer func() {
		if recover() != nil {
			copied, size = "[unreadable]", 16
		}
	}()
	c := copier{seen: map[uintptr]bool{}}
	copied = c.copy(reflect.ValueOf(value), 0)
	return copied, c.size
}

func plain(value any) any {
	copied, _ := snapshot(value)
	return copied
}

type copier struct {
	seen map[uintptr]bool // what we are inside of
	size int
	made int // values
}

var (
	timeType   = reflect.TypeOf(time.Time{})
	numberType = reflect.TypeOf(json.Number(""))
)

func (c *copier) copy(v reflect.Value, depth int) any {
	c.size += 16
	// Lists of lists that all name the same ones are small in the program and endless when written out.
	if c.made++; c.made > maxValues {
		return "[cut]"
	}
	if !v.IsValid() {
		return nil
	}
	switch v.Kind() {
	case reflect.Interface:
		return c.copy(v.Elem(), depth)
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if duration, ok := v.Interface().(time.Duration); ok {
			return duration.String()
		}
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if v.Uint() > math.MaxInt64 {
			return strconv.FormatUint(v.Uint(), 10)
		}
		return v.Uint()
	case reflect.Float32, reflect.Float64:
		return float(v.Float())
	case reflect.String:
		return c.text(v)
	}
	return c.copyDeep(v, depth)
}

func float(value float64) any {
	switch {
	case math.IsNaN(value):
		return "NaN"
	case math.IsInf(value, 1):
		return "Infinity"
	case math.IsInf(value, -1):
		return "-Infinity"
	}
	return value
}

func (c *copier) text(v reflect.Value) any {
	text := v.String()
	if v.Type() == numberType {
		return number(json.Number(text))
	}
	c.size += len(text)
	return cut(text, maxText)
}

// number keeps a number as it was written; an integer that no 64 bits hold becomes its digits as text.
func number(written json.Number) any {
	if _, err := written.Int64(); err == nil {
		return written
	}
	whole := strings.TrimLeft(string(written), "-0123456789") == ""
	if n, err := written.Float64(); err == nil && !math.IsInf(n, 0) && !whole {
		return written
	}
	return string(written)
}

// copyDeep copies what may hold other values, or itself.
func (c *copier) copyDeep(v reflect.Value, depth int) any {
	if named, ok := c.named(v, depth); ok {
		return named
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return c.inside(v.Pointer(), func() any { return c.copy(v.Elem(), depth) })
	case reflect.Map:
		if v.IsNil() {
			return nil
		}
		return c.inside(v.Pointer(), func() any { return c.mapping(v, depth) })
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return fmt.Sprintf("[bytes: %d]", v.Len())
		}
		if v.Len() == 0 {
			return []any{}
		}
		return c.inside(v.Pointer(), func() any { return c.list(v, depth) })
	case reflect.Array:
		return c.list(v, depth)
	case reflect.Struct:
		return c.structure(v, depth)
	case reflect.Complex64, reflect.Complex128:
		return strconv.FormatComplex(v.Complex(), 'g', -1, 128)
	}
	return "[" + v.Type().String() + "]" // functions, channels
}

// named values say themselves how they are written: times, errors, and whatever marshals itself.
func (c *copier) named(v reflect.Value, depth int) (any, bool) {
	if !v.CanInterface() || (v.Kind() == reflect.Pointer && v.IsNil()) {
		return nil, false
	}
	switch value := v.Interface().(type) {
	case time.Time:
		return value.UTC().Format(time.RFC3339Nano), true
	case json.Marshaler:
		raw, err := value.MarshalJSON()
		if err != nil {
			return cut(fmt.Sprintf("%v", value), maxRepr), true
		}
		return c.copy(reflect.ValueOf(valueOf(raw)), depth), true
	case encoding.TextMarshaler:
		if raw, err := value.MarshalText(); err == nil {
			return cut(string(raw), maxText), true
		}
	case error:
		return cut(value.Error(), maxText), true
	}
	return nil, false
}

func (c *copier) inside(place uintptr, make func() any) any {
	if c.seen[place] {
		return "[circular]"
	}
	c.seen[place] = true
	defer delete(c.seen, place)
	return make()
}

func (c *copier) mapping(v reflect.Value, depth int) any {
	if depth >= maxDepth {
		return "[deep]"
	}
	result := make(object, v.Len())
	for entries := v.MapRange(); entries.Next() && c.made <= maxValues && len(result) < maxItems; {
		key := fmt.Sprint(entries.Key().Interface())
		c.size += len(key)
		result[valid(key)] = c.copy(entries.Value(), depth+1)
	}
	return result
}

func (c *copier) list(v reflect.Value, depth int) any {
	if depth >= maxDepth {
		return "[deep]"
	}
	count := v.Len()
	if count > maxItems {
		count = maxItems
	}
	result := make([]any, 0, count)
	for i := 0; i < count && c.made <= maxValues; i++ {
		result = append(result, c.copy(v.Index(i), depth+1))
	}
	if left := v.Len() - count; left > 0 {
		result = append(result, fmt.Sprintf("[cut: %d items]", left))
	}
	return result
}

// structure writes exported fields under the names their json tags give.
func (c *copier) structure(v reflect.Value, depth int) any {
	if depth >= maxDepth {
		return "[deep]"
	}
	result := object{}
	for i := 0; i < v.NumField(); i++ {
		field := v.Type().Field(i)
		name, omitEmpty := jsonName(field)
		if !field.IsExported() || name == "-" || (omitEmpty && v.Field(i).IsZero()) {
			continue
		}
		value := c.copy(v.Field(i), depth+1)
		if inner, ok := value.(object); ok && field.Anonymous && field.Tag.Get("json") == "" {
			for key, item := range inner {
				result[key] = item
			}
			continue
		}
		result[name] = value
	}
	return result
}

func jsonName(field reflect.StructField) (name string, omitEmpty bool) {
	tag := field.Tag.Get("json")
	name = field.Name
	for i, part := range strings.Split(tag, ",") {
		if i == 0 && part != "" {
			name = part
		} else if part == "omitempty" {
			omitEmpty = true
		}
	}
	return name, omitEmpty
}

// cut shortens a text to a number of characters and says by how many.
func cut(text string, limit int) string {
	text = valid(text)
	if len(text) <= limit {
		return text
	}
	if count := utf8.RuneCountInString(text); count > limit {
		end := 0
		for i := 0; i < limit; i++ {
			_, width := utf8.DecodeRuneInString(text[end:])
			end += width
		}
		return fmt.Sprintf("%s…[cut: %d characters]", text[:end], count-limit)
	}
	return text
}

func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	runes := make([]rune, 0, len(text))
	for _, r := range text {
		runes = append(runes, r)
	}
	return string(runes)
}
