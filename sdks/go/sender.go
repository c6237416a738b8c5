package llmlab

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
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
	waiters  []chan bool
	stopping chan struct{}
	stopped  chan struct{}
	cancel   context.CancelFunc
	ctx      context.Context
	failures int
	next     time.Time // not before
	limit    int       // packets in a request; halved at 413
	sent     atomic.Int64
	dropped  atomic.Int64
	rejected atomic.Int64
}

func newSender(s *settings, q *queue) *sender {
	transport, _ := http.DefaultTransport.(*http.Transport)
	var own http.RoundTripper = http.DefaultTransport
	if transport != nil {
		own = transport.Clone() // never one that records
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &sender{
		settings: s, queue: q, client: &http.Client{Timeout: s.Timeout, Transport: own}, limit: s.FlushAt,
		stopping: make(chan struct{}), stopped: make(chan struct{}), ctx: ctx, cancel: cancel,
	}
}

// flush tells the channel when everything that waits is acknowledged.
func (s *sender) flush(done chan bool) {
	s.mu.Lock()
	s.waiters = append(s.waiters, done)
	s.next = time.Time{} // somebody waits: try at once
	s.mu.Unlock()
	s.queue.signal()
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
			s.answerWaiters(false)
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
	s.mu.Lock()
	isAwaited, next := len(s.waiters) > 0, s.next
	s.mu.Unlock()
	if !any {
		if isAwaited {
			s.answerWaiters(true)
		}
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

func (s *sender) answerWaiters(ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, waiter := range s.waiters {
		waiter <- ok && s.queue.waiting() == 0
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

// group is one item of a request: packets of one part of a trace under one budget.
type group struct {
	packets []packet
	budget  *Budget
}

func (s *sender) request(batch []packet) (path string, body []byte, groups []group) {
	base := s.settings.BaseURL + "/api/v1/projects/" + url.PathEscape(s.settings.Project)
	var whole bytes.Buffer
	if batch[0].kind == scorePacket {
		whole.WriteString(`{"scores":[`)
		for i, p := range batch {
			comma(&whole, i)
			whole.Write(p.body)
		}
		whole.WriteString("]}")
		return base + "/scores", whole.Bytes(), nil
	}
	type groupKey struct {
		key    string
		budget *Budget
	}
	known := map[groupKey]int{}
	for _, p := range batch {
		key := groupKey{p.key, p.budget}
		at, ok := known[key]
		if !ok {
			at = len(groups)
			known[key] = at
			groups = append(groups, group{budget: p.budget})
		}
		groups[at].packets = append(groups[at].packets, p)
	}
	whole.WriteString(`{"traces":[`)
	for i, one := range groups {
		comma(&whole, i)
		head := one.packets[len(one.packets)-1].head // the newest knows most
		whole.Write(head[:len(head)-1])
		whole.WriteString(`,"steps":[`)
		for j, p := range one.packets {
			comma(&whole, j)
			whole.Write(p.body)
		}
		whole.WriteString("]}")
	}
	whole.WriteString("]}")
	return base + "/traces", whole.Bytes(), groups
}

func comma(buffer *bytes.Buffer, i int) {
	if i > 0 {
		buffer.WriteByte(',')
	}
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
	s.next = time.Now().Add(wait)
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

// results of the server's JSON door.
type results struct {
	Results []struct {
		Cost     *string `json:"cost_usd"`
		Unpriced int     `json:"unpriced_calls"`
		Rejected []struct {
			Code   string `json:"code"`
			Detail string `json:"detail"`
		} `json:"rejected"`
		Result string `json:"result"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
	} `json:"results"`
}

func (s *sender) settle(batch []packet, groups []group, answer []byte) {
	var told results
	_ = json.Unmarshal(answer, &told)
	refused := 0
	for i, one := range told.Results {
		for _, rejected := range one.Rejected {
			refused++
			s.settings.tell.once("rejected "+rejected.Code, "LLMLab did not store a step (%s): %s", rejected.Code, rejected.Detail)
		}
		if len(one.Rejected) == 0 && one.Result == "rejected" {
			refused++
			s.settings.tell.once("rejected "+one.Code, "LLMLab did not store an entry (%s): %s", one.Code, one.Detail)
		}
		if i < len(groups) && groups[i].budget != nil {
			groups[i].budget.settle(ended(groups[i].packets), one.Cost, one.Unpriced > 0)
		}
	}
	s.rejected.Add(int64(refused))
	s.sent.Add(int64(len(batch) - refused))
	s.queue.done(batch)
}

func ended(packets []packet) int {
	count := 0
	for _, p := range packets {
		if !p.isRunning {
			count++
		}
	}
	return count
}

func detailOf(answer []byte) string {
	if detail := text(objectOf(answer)["detail"]); detail != "" {
		return cut(detail, 300)
	}
	return cut(string(answer), 300)
}
