package llmlab

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	firstBackoff  = 500 * time.Millisecond
	maxBackoff    = 30 * time.Second
	refusedPause  = 60 * time.Second
	maxRetryAfter = 300 * time.Second
	maxAnswer     = 16 << 20
)

// sender is the client's second goroutine: packets become requests.
type sender struct {
	settings *settings
	queue    *queue
	client   *http.Client
	mu       sync.Mutex
	waiters  []waiter
	stopping chan struct{}
	stopped  chan struct{}
	cancel   context.CancelFunc
	ctx      context.Context
	failures int
	next     time.Time // not before
	isTold   bool      // the server said when
	limit    int       // packets in a request; halved at 413
	sent     atomic.Int64
	dropped  atomic.Int64
	rejected atomic.Int64
}

// waiter wants to know when everything up to a number has been acknowledged.
type waiter struct {
	upTo int64
	done chan bool
}

// ownTransport is never one that records or that tells others of our uploads: the program may have put such a one in the
// place of http.DefaultTransport.
func ownTransport() http.RoundTripper {
	below := http.DefaultTransport
	for {
		ours, ok := below.(*transport)
		if !ok {
			break
		}
		below = ours.base
	}
	if standard, ok := below.(*http.Transport); ok {
		return standard.Clone()
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
}

// asItIs: followed, a redirect would make a GET of our POST, and its 200 would be no receipt.
func asItIs(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newSender(s *settings, q *queue) *sender {
	ctx, cancel := context.WithCancel(context.Background())
	return &sender{
		settings: s, queue: q, limit: s.FlushAt,
		client:   &http.Client{Timeout: s.Timeout, Transport: ownTransport(), CheckRedirect: asItIs},
		stopping: make(chan struct{}), stopped: make(chan struct{}), ctx: ctx, cancel: cancel,
	}
}

// flush tells the channel when everything that waits now is acknowledged. What the server asked us to wait is kept.
func (s *sender) flush(done chan bool) {
	upTo := s.queue.last()
	s.mu.Lock()
	s.waiters = append(s.waiters, waiter{upTo, done})
	if !s.isTold {
		s.next = time.Time{} // somebody waits: try at once
	}
	s.mu.Unlock()
	s.queue.signal()
}

// leave: nobody waits on this channel any longer.
func (s *sender) leave(done chan bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range s.waiters {
		if one.done == done {
			s.waiters = append(s.waiters[:i:i], s.waiters[i+1:]...)
			return
		}
	}
}

func (s *sender) stop() {
	close(s.stopping)
	s.cancel()
	<-s.stopped
}

func (s *sender) run() {
	defer close(s.stopped)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait := s.pause()
		if wait <= 0 {
			s.sendOne()
			continue
		}
		resetTimer(timer, wait)
		select {
		case <-s.stopping:
			s.answerWaiters()
			s.dismissWaiters()
			return
		case <-s.queue.wake:
		case <-timer.C:
		}
	}
}

func resetTimer(timer *time.Timer, wait time.Duration) {
	if !timer.Stop() {
		select {
		case <-timer.C:
		default:
		}
	}
	timer.Reset(wait)
}

// pause is how long there is nothing to do.
func (s *sender) pause() time.Duration {
	select {
	case <-s.stopping:
		return time.Hour
	default:
	}
	due, any := s.queue.due(s.settings.FlushInterval)
	s.answerWaiters()
	s.mu.Lock()
	isAwaited, next := len(s.waiters) > 0, s.next
	s.mu.Unlock()
	if !any {
		return time.Hour
	}
	if isAwaited {
		due = 0
	}
	if blocked := time.Until(next); blocked > due {
		return blocked
	}
	return due
}

// answerWaiters tells those whose packets are all acknowledged, or given up; what came later is not waited for.
func (s *sender) answerWaiters() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiters) == 0 {
		return
	}
	first := s.queue.first()
	left := s.waiters[:0:0]
	for _, one := range s.waiters {
		if first > one.upTo {
			one.done <- true
		} else {
			left = append(left, one)
		}
	}
	s.waiters = left
}

func (s *sender) dismissWaiters() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.waiters {
		one.done <- false
	}
	s.waiters = nil
}

func (s *sender) sendOne() {
	batch := s.queue.take(s.limit)
	if len(batch) == 0 {
		return
	}
	batch = s.loaded(batch)
	if len(batch) == 0 {
		return
	}
	path, body, groups := s.request(batch)
	status, header, answer, err := s.post(path, body)
	switch {
	case err != nil:
		s.settings.tell.eachMinute("away", "LLMLab cannot be reached (%v); steps wait", err)
		s.again(batch, 0, maxBackoff)
	case (status == 200 || status == 201 || status == 207) && valueOf(answer) == nil:
		s.settings.tell.eachMinute("stranger", "%s answers, but not as LLMLab does: is BaseURL right? Steps wait", s.settings.BaseURL)
		s.again(batch, 0, refusedPause)
	case status >= 300 && status < 400:
		s.settings.tell.once("moved", "LLMLab answered %d, %s: set BaseURL to where it is; steps wait", status, header.Get("Location"))
		s.again(batch, 0, refusedPause)
	case status == 200 || status == 201 || status == 207:
		s.failures, s.limit = 0, s.settings.FlushAt
		s.settle(batch, groups, answer)
	case status == 413:
		s.smaller(batch)
	case status == 401 || status == 403 || status == 404:
		s.settings.tell.once("refused", "LLMLab refused the key or the project %q (%d): %s; steps wait until that is mended",
			s.settings.Project, status, detailOf(answer))
		s.again(batch, 0, refusedPause)
	case status == 429 || status >= 500:
		s.settings.tell.eachMinute("busy", "LLMLab answered %d; steps wait", status)
		s.again(batch, retryAfter(header), maxBackoff)
	default:
		s.settings.tell.once("body", "LLMLab refused a batch (%d): %s; its %d steps are dropped", status, detailOf(answer), len(batch))
		s.giveUp(batch)
	}
}

// loaded reads what lies on disk; what cannot be read is given up.
func (s *sender) loaded(batch []packet) []packet {
	var good []packet
	for _, p := range batch {
		if p.isSpooled && p.body == nil {
			if err := s.queue.spool.read(&p); err != nil {
				s.settings.tell.once("spool read", "the spool cannot be read (%v): a step is lost", err)
				s.giveUp([]packet{p})
				continue
			}
		}
		good = append(good, p)
	}
	return good
}

func (s *sender) giveUp(batch []packet) {
	s.dropped.Add(int64(len(batch)))
	for _, p := range batch {
		if p.budget != nil && !p.isRunning {
			p.budget.unknown()
		}
	}
	s.queue.done(batch)
}

func (s *sender) post(path string, body []byte) (int, http.Header, []byte, error) {
	var packed bytes.Buffer
	writer, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	_, _ = writer.Write(body)
	_ = writer.Close()
	request, err := http.NewRequestWithContext(s.ctx, http.MethodPost, path, &packed)
	if err != nil {
		return 0, nil, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.settings.APIKey)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Content-Encoding", "gzip")
	request.Header.Set("User-Agent", "llmlab-go/"+Version)
	response, err := s.client.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, response.Header, answer, err
}

// again puts the batch back and waits longer each time, at a random moment, or as long as the server asked for.
func (s *sender) again(batch []packet, asked, most time.Duration) {
	wait := firstBackoff << s.failures
	if wait > most || wait <= 0 {
		wait = most
	} else {
		s.failures++
	}
	wait = time.Duration(rand.Int63n(int64(wait)) + 1)
	if asked > 0 {
		wait = asked
	}
	s.mu.Lock()
	s.next, s.isTold = time.Now().Add(wait), asked > 0
	s.mu.Unlock()
	s.queue.putBack(batch)
}

func retryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < 1e6 {
		wait = time.Duration(seconds * float64(time.Second))
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	}
	if wait > maxRetryAfter {
		return maxRetryAfter
	}
	return wait
}

// smaller halves a batch that is too large; one step alone loses its contents first, then itself.
func (s *sender) smaller(batch []packet) {
	if len(batch) > 1 {
		s.limit = (len(batch) + 1) / 2
		s.queue.putBack(batch)
		return
	}
	one := batch[0]
	if one.isCut || one.kind == scorePacket {
		s.settings.tell.once("large", "LLMLab takes no step of %d bytes: it is dropped", len(one.body))
		s.giveUp(batch)
		return
	}
	step := objectOf(one.body)
	for _, name := range contents {
		if value, ok := step[name]; ok && name != "metadata" && name != "parameters" {
			step[name] = fmt.Sprintf("[cut: %d bytes]", len(encoded(value)))
		}
	}
	smaller := one
	smaller.body, smaller.isCut = encoded(step), true
	if smaller.isSpooled {
		s.queue.spool.done(smaller.place)
		smaller.isSpooled, smaller.place = false, place{}
	}
	s.queue.putBack([]packet{smaller})
}
