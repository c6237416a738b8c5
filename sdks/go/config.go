package llmlab

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// Config says where steps go and what is in them. A zero field takes its value from the environment (LLMLAB_API_KEY,
// LLMLAB_PROJECT, …: see the README's table) or else its default. Bad values are told once and replaced by the default.
type Config struct {
	APIKey      string
	Project     string // slug or id
	BaseURL     string // http://localhost:8000
	Environment string
	Release     string
	// Disabled switches the SDK off; so does a missing key or project.
	Disabled bool
	// OmitContent leaves inputs, outputs, tools and the messages of errors out of every step.
	OmitContent bool
	// Masks names built-in masks: email, phone, credit_card, api_key.
	Masks []string
	// MaskFunc is applied to every text after the built-in masks.
	MaskFunc func(string) string
	// SampleRate is the share of traces kept, 0 to 1; nil keeps all. Traces with an error are always kept.
	SampleRate *float64
	// FlushAt steps (100) or FlushInterval (5 s) make a batch.
	FlushAt       int
	FlushInterval time.Duration
	// LiveInterval is after how long a running step is announced (1 s); negative: never.
	LiveInterval  time.Duration
	MaxQueueBytes int // 32 MiB
	// SpoolDir keeps what is not delivered on disk, where the next start finds it. Off when empty.
	SpoolDir string
	Timeout  time.Duration // of one request, 10 s
	// DrainTime is how long the rest of a stream is read after its reader left, to learn its usage (5 s); negative: not.
	DrainTime time.Duration
	// OmitStreamUsage stops the SDK from asking OpenAI-shaped streams for their usage.
	OmitStreamUsage bool
	// ServerBudgets lets recorded calls be refused, with ErrBudgetExceeded, by the hard budgets set in LLMLab, as the server
	// last told them. Needs a key with the scope read.
	ServerBudgets bool
	// Exporter takes the steps instead of the server, in tests.
	Exporter func(item Item)
	Logger   func(format string, args ...any)
}

const (
	defaultBaseURL  = "http://localhost:8000"
	defaultFlushAt  = 100
	defaultQueue    = 32 << 20
	maxBatchBytes   = 3 << 20
	minInterval     = 10 * time.Millisecond
	tellAgainAfter  = time.Minute
	defaultInterval = 5 * time.Second
)

// settings is a Config with every value decided.
type settings struct {
	Config
	sampleRate float64
	mask       func(string) string
	tell       *teller
	isOn       bool
}

func decide(config Config) *settings {
	s := &settings{Config: config, sampleRate: 1}
	s.tell = newTeller(config.Logger)
	env := environment{tell: s.tell}
	env.text("LLMLAB_API_KEY", &s.APIKey, "")
	env.text("LLMLAB_PROJECT", &s.Project, "")
	env.text("LLMLAB_BASE_URL", &s.BaseURL, defaultBaseURL)
	env.text("LLMLAB_ENVIRONMENT", &s.Environment, "")
	env.text("LLMLAB_RELEASE", &s.Release, "")
	env.text("LLMLAB_SPOOL_DIR", &s.SpoolDir, "")
	s.BaseURL = strings.TrimRight(s.BaseURL, "/")
	s.Disabled = s.Disabled || !env.flag("LLMLAB_ENABLED", true)
	s.OmitContent = s.OmitContent || !env.flag("LLMLAB_CAPTURE_CONTENT", true)
	s.OmitStreamUsage = s.OmitStreamUsage || !env.flag("LLMLAB_STREAM_USAGE", true)
	s.ServerBudgets = s.ServerBudgets || env.flag("LLMLAB_SERVER_BUDGETS", false)
	env.seconds("LLMLAB_FLUSH_INTERVAL", &s.FlushInterval, defaultInterval)
	env.seconds("LLMLAB_LIVE_INTERVAL", &s.LiveInterval, time.Second)
	env.seconds("LLMLAB_TIMEOUT", &s.Timeout, 10*time.Second)
	env.seconds("LLMLAB_DRAIN_SECONDS", &s.DrainTime, 5*time.Second)
	env.count("LLMLAB_FLUSH_AT", &s.FlushAt, defaultFlushAt)
	env.count("LLMLAB_MAX_QUEUE_BYTES", &s.MaxQueueBytes, defaultQueue)
	if s.FlushInterval < minInterval {
		s.FlushInterval = minInterval
	}
	if s.Masks == nil && os.Getenv("LLMLAB_MASK") != "" {
		s.Masks = strings.Split(os.Getenv("LLMLAB_MASK"), ",")
	}
	s.mask = masker(s.Masks, s.MaskFunc, s.tell)
	s.decideSampling(env)
	s.isOn = !s.Disabled && (s.Exporter != nil || (s.APIKey != "" && s.Project != ""))
	if !s.isOn && !s.Disabled {
		s.tell.once("off", "no steps are recorded: LLMLAB_API_KEY and LLMLAB_PROJECT are not both set")
	}
	return s
}

func (s *settings) decideSampling(env environment) {
	if s.SampleRate != nil {
		s.sampleRate = *s.SampleRate
	} else if text := os.Getenv("LLMLAB_SAMPLE_RATE"); text != "" {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil {
			env.bad("LLMLAB_SAMPLE_RATE", text, "a number from 0 to 1")
			return
		}
		s.sampleRate = rate
	}
	if !(s.sampleRate >= 0 && s.sampleRate <= 1) {
		s.tell.once("sample_rate", "SampleRate is %v: it must be 0 to 1; all traces are kept", s.sampleRate)
		s.sampleRate = 1
	}
}

// environment reads what a Config left open.
type environment struct{ tell *teller }

func (e environment) bad(name, value, rule string) {
	e.tell.once("env "+name, "%s is %q: it must be %s; the default is used", name, value, rule)
}

func (e environment) text(name string, field *string, fallback string) {
	if *field == "" {
		*field = strings.TrimSpace(os.Getenv(name))
	}
	if *field == "" {
		*field = fallback
	}
}

func (e environment) flag(name string, fallback bool) bool {
	switch value := strings.ToLower(strings.TrimSpace(os.Getenv(name))); value {
	case "":
		return fallback
	case "1", "true", "yes", "on":
		return true
	case "0", "false", "no", "off":
		return false
	default:
		e.bad(name, value, "true or false")
		return fallback
	}
}

func (e environment) seconds(name string, field *time.Duration, fallback time.Duration) {
	if *field != 0 {
		return
	}
	*field = fallback
	text := strings.TrimSpace(os.Getenv(name))
	if text == "" {
		return
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !(value >= 0 && value < 1e6) {
		e.bad(name, text, "a number of seconds")
		return
	}
	*field = time.Duration(value * float64(time.Second))
	if value == 0 {
		*field = -1 // 0 in the environment: never
	}
}

func (e environment) count(name string, field *int, fallback int) {
	if *field > 0 {
		return
	}
	*field = fallback
	text := strings.TrimSpace(os.Getenv(name))
	if text == "" {
		return
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 {
		e.bad(name, text, "a whole number from 1")
		return
	}
	*field = value
}
