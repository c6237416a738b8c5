package llmlab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// place is where a spooled packet lies.
type place struct {
	file   *spoolFile
	offset int64
	length int
}

// spoolFile is deleted when everything in it is acknowledged and nothing more is written to it.
type spoolFile struct {
	path     string
	file     *os.File
	size     int64
	waiting  int
	isSealed bool
}

// spool keeps packets in files that outlive a crash of the process (not of the machine: nothing is synced). Each process
// writes files of its own and holds a lock on them; the next start adopts those nobody holds.
type spool struct {
	mu       sync.Mutex
	dir      string
	current  *spoolFile
	files    map[*spoolFile]bool
	size     int64
	limit    int64
	settings *settings
}

const (
	spoolFileSize  = 4 << 20
	spoolTimes     = 10 // as many queues fit on disk
	spoolExtension = ".jsonl"
)

func newSpool(s *settings) *spool {
	if !canLock {
		s.tell.once("spool", "files cannot be locked on this system: without that nobody knows whose spool is left; steps wait in memory only")
		return nil
	}
	if err := os.MkdirAll(s.SpoolDir, 0o700); err != nil {
		s.tell.once("spool", "the spool %s cannot be used (%v): steps wait in memory only", s.SpoolDir, err)
		return nil
	}
	return &spool{dir: s.SpoolDir, settings: s, limit: spoolTimes * int64(s.MaxQueueBytes), files: map[*spoolFile]bool{}}
}

// write appends the packet and drops its bytes from memory; on a full or broken disk it stays in memory.
func (s *spool) write(p *packet) {
	line := lineOf(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size+int64(len(line)) > s.limit {
		s.settings.tell.eachMinute("spool full", "the spool holds %d bytes and is full: steps wait in memory only", s.size)
		return
	}
	file, err := s.open()
	if err == nil {
		if _, err = file.file.WriteAt(line, file.size); err != nil {
			_ = file.file.Truncate(file.size) // a full disk must leave no half of a line
		}
	}
	if err != nil {
		s.settings.tell.eachMinute("spool", "the spool %s cannot be written (%v): steps wait in memory only", s.dir, err)
		return
	}
	p.place = place{file, file.size, len(line)}
	p.isSpooled, p.head, p.body = true, nil, nil
	file.size += int64(len(line))
	file.waiting++
	s.size += int64(len(line))
}

func (s *spool) open() (*spoolFile, error) {
	if s.current != nil && s.current.size < spoolFileSize {
		return s.current, nil
	}
	if s.current != nil {
		s.current.isSealed = true
		s.remove(s.current)
	}
	path := filepath.Join(s.dir, fmt.Sprintf("%d-%s%s", os.Getpid(), randomHex(6), spoolExtension))
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if !lockFile(file) { // a file system without locks
		_ = file.Close()
		_ = os.Remove(path)
		return nil, errors.New("files cannot be locked there")
	}
	s.current = &spoolFile{path: path, file: file}
	s.files[s.current] = true
	return s.current, nil
}

// read fills in the bytes of a packet that lies on disk.
func (s *spool) read(p *packet) error {
	raw := make([]byte, p.place.length)
	if _, err := p.place.file.file.ReadAt(raw, p.place.offset); err != nil {
		return err
	}
	found, ok := packetOf(raw)
	if !ok {
		return errors.New("a line has changed")
	}
	p.head, p.body = found.head, found.body
	return nil
}

// done: the packet at this place is needed no longer.
func (s *spool) done(at place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at.file.waiting--
	s.remove(at.file)
}

func (s *spool) remove(file *spoolFile) {
	if file.waiting > 0 || !file.isSealed || !s.files[file] {
		return
	}
	delete(s.files, file)
	s.size -= file.size
	_ = os.Remove(file.path)
	_ = file.file.Close()
}

// close deletes what is empty and lets the rest go, for the next start to adopt.
func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for file := range s.files {
		file.isSealed = true
		s.remove(file)
	}
	for file := range s.files {
		_ = file.file.Close()
	}
}

// adopt takes the files that no living process holds.
func (s *spool) adopt() []packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []packet
	paths, _ := filepath.Glob(filepath.Join(s.dir, "*"+spoolExtension))
	for _, path := range paths {
		file, err := os.OpenFile(path, os.O_RDWR, 0o600)
		if err != nil {
			continue
		}
		if !lockFile(file) || !isStillAt(file, path) {
			_ = file.Close()
			continue
		}
		adopted := &spoolFile{path: path, file: file, isSealed: true}
		packets, foreign := s.packetsOf(adopted)
		if len(packets) == 0 && foreign > 0 {
			_ = file.Close() // somebody else's: not ours to delete
			continue
		}
		s.files[adopted] = true
		s.size += adopted.size
		adopted.waiting = len(packets)
		s.remove(adopted)
		found = append(found, packets...)
	}
	return found
}

// isStillAt: between opening and locking its owner may have been done with the file and deleted it.
func isStillAt(file *os.File, path string) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(held, there)
}

// packetsOf reads the lines of a file. One that a crash cut off is left out and told; foreign counts those that are
// something else altogether, which is nobody's fault.
func (s *spool) packetsOf(file *spoolFile) (found []packet, foreign int) {
	reader := bufio.NewReaderSize(file.file, 1<<16)
	for {
		raw, err := reader.ReadBytes('\n')
		if len(raw) > 0 {
			one, ok := packetOf(raw)
			switch {
			case ok:
				found = append(found, packet{kind: one.kind, key: one.key, place: place{file, file.size, len(raw)}, isSpooled: true})
			case json.Valid(raw):
				foreign++
			default:
				s.settings.tell.once("spool line", "a line of the spool is cut off or damaged and left out (%s)", file.path)
			}
			file.size += int64(len(raw))
		}
		if err != nil {
			return found, foreign
		}
	}
}

// lineOf is a packet as all three SDKs write it: an item of the wire, or {"score": …}. Neither key nor project is in it.
func lineOf(p *packet) []byte {
	line := make([]byte, 0, len(p.head)+len(p.body)+16)
	if p.kind == scorePacket {
		return append(append(append(line, `{"score":`...), p.body...), "}\n"...)
	}
	line = append(append(line, p.head[:len(p.head)-1]...), `,"steps":[`...)
	return append(append(line, p.body...), "]}\n"...)
}

func packetOf(line []byte) (packet, bool) {
	var item map[string]json.RawMessage
	if json.Unmarshal(line, &item) != nil {
		return packet{}, false
	}
	if score, ok := item["score"]; ok {
		return packet{kind: scorePacket, body: score}, true
	}
	var ids struct {
		TraceID string            `json:"trace_id"`
		RootID  string            `json:"root_id"`
		Steps   []json.RawMessage `json:"steps"`
	}
	if json.Unmarshal(line, &ids) != nil || ids.TraceID == "" || len(ids.Steps) == 0 {
		return packet{}, false
	}
	delete(item, "steps")
	steps := make([][]byte, len(ids.Steps))
	for i, step := range ids.Steps {
		steps[i] = step
	}
	return packet{key: ids.TraceID + ids.RootID, head: encoded(item), body: bytes.Join(steps, []byte(","))}, true
}
