package llmlab

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"net/http"
	"strings"
)

type contextKey int

const (
	stepKey contextKey = iota
	remoteKey
	budgetKey
)

const traceparentHeader = "traceparent"

// remote is the step of another process that ours hang below.
type remote struct {
	traceID, stepID string
	sampled         bool
}

func randomHex(size int) string {
	var space [64]byte
	raw, written := space[:size], space[32:32+2*size]
	for {
		if _, err := rand.Read(raw); err != nil {
			// Without randomness there are no ids; time is all that is left.
			binary.BigEndian.PutUint64(space[:8], uint64(nowNanos()))
		}
		for _, b := range raw {
			if b != 0 {
				hex.Encode(written, raw)
				return string(written)
			}
		}
	}
}

// isSampled compares the last 8 bytes of a trace id, as a share of 2^64, with the rate; exactly.
func isSampled(traceID string, rate float64) bool {
	if rate >= 1 {
		return true
	}
	if rate <= 0 || math.IsNaN(rate) || len(traceID) != 32 {
		return false
	}
	raw, err := hex.DecodeString(traceID[16:])
	if err != nil {
		return true
	}
	drawn := new(big.Rat).SetFrac(new(big.Int).SetBytes(raw), new(big.Int).Lsh(big.NewInt(1), 64))
	return drawn.Cmp(new(big.Rat).SetFloat64(rate)) < 0
}

// StepFrom returns the step of a context, or nil.
func StepFrom(ctx context.Context) *Step {
	step, _ := ctx.Value(stepKey).(*Step)
	return step
}

// TraceID of the context's step or of the trace that Extract read; empty outside any.
func TraceID(ctx context.Context) string {
	if step := StepFrom(ctx); step != nil {
		return step.TraceID()
	}
	if above, ok := ctx.Value(remoteKey).(remote); ok {
		return above.traceID
	}
	return ""
}

// Inject writes the W3C traceparent of the context's step into the headers of an outgoing request.
func Inject(ctx context.Context, header http.Header) {
	if header == nil {
		return
	}
	if step := StepFrom(ctx); step != nil && step.trace != nil {
		header.Set(traceparentHeader, traceparent(step.trace.id, step.id, step.trace.sampled))
	} else if above, ok := ctx.Value(remoteKey).(remote); ok {
		header.Set(traceparentHeader, traceparent(above.traceID, above.stepID, above.sampled))
	}
}

// Extract reads the W3C traceparent of an incoming request: steps started with the context it returns hang below the
// caller's. A header that breaks the specification is ignored.
func Extract(ctx context.Context, header http.Header) context.Context {
	above, ok := parseTraceparent(header.Get(traceparentHeader))
	if !ok {
		return ctx
	}
	return context.WithValue(context.WithValue(ctx, stepKey, (*Step)(nil)), remoteKey, above)
}

func traceparent(traceID, stepID string, sampled bool) string {
	flags := "00"
	if sampled {
		flags = "01"
	}
	return "00-" + traceID + "-" + stepID + "-" + flags
}

func parseTraceparent(header string) (remote, bool) {
	header = strings.TrimSpace(header)
	if len(header) < 55 || (len(header) > 55 && (header[:2] == "00" || header[55] != '-')) {
		return remote{}, false
	}
	version, traceID, stepID, flags := header[:2], header[3:35], header[36:52], header[53:55]
	isHex := isLowerHex(version) && isLowerHex(traceID) && isLowerHex(stepID) && isLowerHex(flags)
	hasDashes := header[2] == '-' && header[35] == '-' && header[52] == '-'
	if !isHex || !hasDashes || version == "ff" || isZero(traceID) || isZero(stepID) {
		return remote{}, false
	}
	raw, err := hex.DecodeString(flags)
	return remote{traceID, stepID, err == nil && raw[0]&1 == 1}, err == nil
}

func isLowerHex(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

func isZero(text string) bool { return strings.Trim(text, "0") == "" }
