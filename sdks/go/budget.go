package llmlab

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// ErrBudgetExceeded is what a recorded call returns, before it is sent, when its budget is spent.
var ErrBudgetExceeded = errors.New("llmlab: budget exceeded")

const budgetWait = 2 * time.Second

// Budget is what the calls made with its context may cost together. The server says what they cost.
type Budget struct {
	client   *Client
	limit    *big.Rat
	block    bool
	mu       sync.Mutex
	spent    *big.Rat
	pending  int
	unlearnt int
}

// Budget makes a context whose calls may cost this many US dollars together, given as "0.50". With blockUnknown a call is
// also refused while the cost of an earlier one cannot be learnt. An amount that is no number is told and allows nothing.
func (c *Client) Budget(ctx context.Context, usd string, blockUnknown bool) (context.Context, *Budget) {
	limit, ok := new(big.Rat).SetString(usd)
	if !ok {
		limit = new(big.Rat)
		if c != nil {
			c.settings.tell.once("budget "+usd, "the budget %q is no amount like 0.50: nothing is allowed", usd)
		}
	}
	budget := &Budget{client: c, limit: limit, block: blockUnknown, spent: new(big.Rat)}
	return context.WithValue(ctx, budgetKey, budget), budget
}

// Spent so far in US dollars, as far as it is known.
func (b *Budget) Spent() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent.FloatString(12)
}

func (b *Budget) begun() {
	b.mu.Lock()
	b.pending++
	b.mu.Unlock()
}

// dropped: the call was none.
func (b *Budget) dropped() {
	b.mu.Lock()
	b.pending--
	b.mu.Unlock()
}

// unknown: what a call cost will not be learnt.
func (b *Budget) unknown() {
	b.mu.Lock()
	b.pending--
	b.unlearnt++
	b.mu.Unlock()
}

// settle takes in what so many steps cost together, and of how many of them the cost will not be learnt.
func (b *Budget) settle(steps int, cost *string, unknown int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending -= steps; b.pending < 0 {
		b.pending = 0
	}
	if unknown > steps {
		unknown = steps
	}
	if cost != nil && steps > 0 {
		if amount, ok := new(big.Rat).SetString(*cost); ok {
			b.spent.Add(b.spent, amount)
		} else {
			unknown = steps
		}
	}
	b.unlearnt += unknown
}

// check refuses the next call when the money is gone. Costs on their way are waited for, shortly.
func (b *Budget) check(ctx context.Context) error {
	b.mu.Lock()
	pending, isSpent := b.pending, b.spent.Cmp(b.limit) >= 0
	b.mu.Unlock()
	if pending > 0 && !isSpent && b.client.isOn() {
		waited, cancel := context.WithTimeout(ctx, budgetWait)
		b.client.Flush(waited)
		cancel()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent.Cmp(b.limit) >= 0 {
		return fmt.Errorf("%w: %s of %s USD are spent", ErrBudgetExceeded, b.spent.FloatString(6), b.limit.FloatString(6))
	}
	if b.block && (b.unlearnt > 0 || b.pending > 0) {
		return fmt.Errorf("%w: what earlier calls cost is not known", ErrBudgetExceeded)
	}
	return nil
}
