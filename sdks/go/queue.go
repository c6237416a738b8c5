package llmlab

import (
	"sync"
	"sync/atomic"
	"time"
)

type packetKind int

const (
	stepPacket packetKind = iota
	scorePacket
)

// packet is one encoded step or score. With a spool its bytes lie on disk until they are sent.
type packet struct {
	kind      packetKind
	number    int64  // counts up
	key       string // which trace's part it belongs to
	head      []byte // the item without its steps
	body      []byte
	budget    *Budget
	isRunning bool
	isCut     bool
	wasTried  bool // and the answer may have been lost
	at        time.Time
	place     place
	isSpooled bool
}

const packetSize = 256

func (p packet) size() int64 {
	if p.isSpooled {
		return packetSize
	}
	return int64(len(p.head)+len(p.body)) + packetSize
}

// queue holds packets until the server has acknowledged them; bounded by bytes, the oldest go first.
type queue struct {
	mu       sync.Mutex
	packets  []packet
	bytes    int64
	limit    int64
	inFlight int64
	numbers  int64
	spool    *spool
	settings *settings
	wake     chan struct{}
	dropped  atomic.Int64
}

func newQueue(s *settings) *queue {
	q := &queue{settings: s, limit: int64(s.MaxQueueBytes), wake: make(chan struct{}, 1)}
	if s.SpoolDir != "" && s.isOn && s.Exporter == nil {
		q.spool = newSpool(s)
	}
	return q
}

// adopt takes over what earlier processes left in the spool.
func (q *queue) adopt() {
	if q.spool == nil {
		return
	}
	found := q.spool.adopt()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, one := range found {
		q.numbers++
		one.at, one.number = time.Now(), q.numbers
		q.packets = append(q.packets, one)
		q.bytes += one.size()
	}
	q.signal()
}

func (q *queue) put(p packet) {
	p.at = time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.spool != nil && !p.isRunning {
		q.spool.write(&p)
	}
	q.numbers++
	p.number = q.numbers
	q.packets = append(q.packets, p)
	q.bytes += p.size()
	for q.bytes > q.limit && len(q.packets) > 1 {
		q.forget(q.packets[0])
		q.packets[0] = packet{}
		q.packets = q.packets[1:]
		q.dropped.Add(1)
		q.settings.tell.eachMinute("full", "the queue is full (%d bytes): the oldest steps are dropped", q.limit)
	}
	// The first one starts the sender's clock.
	if p.isRunning || len(q.packets) == 1 || len(q.packets) >= q.settings.FlushAt {
		q.signal()
	}
}

func (q *queue) forget(p packet) {
	q.bytes -= p.size()
	if p.budget != nil && !p.isRunning && p.kind == stepPacket {
		p.budget.unknown()
	}
	if p.isSpooled {
		q.spool.done(p.place)
	}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take removes the first packets of one kind: at most count, and about maxBatchBytes.
func (q *queue) take(count int) []packet {
	q.mu.Lock()
	defer q.mu.Unlock()
	var taken, left []packet
	size := 0
	for i, p := range q.packets {
		if len(taken) >= count || size >= maxBatchBytes {
			left = append(left, q.packets[i:]...)
			break
		}
		if len(taken) > 0 && p.kind != taken[0].kind {
			left = append(left, p)
			continue
		}
		taken = append(taken, p)
		q.bytes -= p.size()
		size += len(p.head) + len(p.body) + p.place.length
	}
	q.packets = left
	q.inFlight += int64(len(taken))
	return taken
}

// done: these are acknowledged or given up for good.
func (q *queue) done(packets []packet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight -= int64(len(packets))
	for _, p := range packets {
		if p.isSpooled {
			q.spool.done(p.place)
		}
	}
}

// putBack: these could not be delivered now. Announcements of running steps are old by the next time.
func (q *queue) putBack(packets []packet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight -= int64(len(packets))
	kept := make([]packet, 0, len(packets)+len(q.packets))
	for _, p := range packets {
		if p.isRunning {
			continue
		}
		if p.isSpooled {
			p.head, p.body = nil, nil
		}
		p.wasTried = true
		kept = append(kept, p)
		q.bytes += p.size()
	}
	q.packets = append(kept, q.packets...)
}

// last is the number of the newest packet.
func (q *queue) last() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.numbers
}

// first is the lowest number that waits; higher than the last when none does. Only the sender asks, with nothing in flight.
func (q *queue) first() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	lowest := q.numbers + 1
	for _, p := range q.packets {
		if p.number < lowest {
			lowest = p.number
		}
	}
	return lowest
}

func (q *queue) waiting() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int64(len(q.packets)) + q.inFlight
}

// due says how long the first packet may wait for company; false when there is none.
func (q *queue) due(interval time.Duration) (time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.packets) == 0 {
		return 0, false
	}
	for _, p := range q.packets {
		if p.isRunning || len(q.packets) >= q.settings.FlushAt {
			return 0, true
		}
	}
	return time.Until(q.packets[0].at.Add(interval)), true
}

// close answers how many packets are lost with the process.
func (q *queue) close() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost := int64(0)
	for _, p := range q.packets {
		if !p.isSpooled && !p.isRunning {
			lost++
		}
	}
	q.dropped.Add(lost)
	if q.spool != nil {
		q.spool.close()
	}
	return lost
}
