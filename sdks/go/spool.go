package llmlab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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

// spoolLine is a packet as it is written.
type spoolLine struct {
	Kind packetKind      `json:"kind"`
	Key  string          `json:"key,omitempty"`
	Head json.RawMessage `json:"head,omitempty"`
	Body json.RawMessage `json:"body"`
}

const (
	spoolFileSize  = 4 << 20
	spoolTimes     = 10 // as many queues fit on disk
	maxSpoolLine   = 64 << 20
	spoolExtension = ".jsonl"
)

func newSpool(s *settings) *spool {
	if err := os.MkdirAll(s.SpoolDir, 0o700); err != nil {
		s.tell.once("spool", "the spool %s cannot be used (%v): steps wait in memory only", s.SpoolDir, err)
		return nil
	}
	return &spool{dir: s.SpoolDir, settings: s, limit: spoolTimes * int64(s.MaxQueueBytes), files: map[*spoolFile]bool{}}
}

// write appends the packet and drops its bytes from memory; on a full or broken disk it stays in memory.
func (s *spool) write(p *packet) {
	line, err := json.Marshal(spoolLine{p.kind, p.key, p.head, p.body})
	if err != nil {
		return
	}
	line = append(line, '\n')
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size+int64(len(line)) > s.limit {
		s.settings.tell.eachMinute("spool full", "the spool holds %d bytes and is full: steps wait in memory only", s.size)
		return
	}
	file, err := s.open()
	if err == nil {
		_, err = file.file.WriteAt(line, file.size)
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
	if !lockFile(file) {
		s.settings.tell.once("spool lock", "files cannot be locked here: another process may send the spool again (nothing is stored twice)")
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
	var line spoolLine
	if err := json.Unmarshal(raw, &line); err != nil {
		return err
	}
	p.head, p.body = line.Head, line.Body
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
		if !lockFile(file) {
			_ = file.Close()
			continue
		}
		adopted := &spoolFile{path: path, file: file, isSealed: true}
		packets := s.packetsOf(adopted)
		s.files[adopted] = true
		s.size += adopted.size
		adopted.waiting = len(packets)
		s.remove(adopted)
		found = append(found, packets...)
	}
	return found
}

// packetsOf reads the lines of a file; one that a crash cut off, or that is not ours, is left out and told.
func (s *spool) packetsOf(file *spoolFile) []packet {
	var found []packet
	reader := bufio.NewReaderSize(file.file, 1<<16)
	for {
		raw, err := reader.ReadBytes('\n')
		if len(raw) > 0 {
			var line spoolLine
			complete := strings.HasSuffix(string(raw[len(raw)-1:]), "\n") && len(raw) <= maxSpoolLine
			if complete && json.Unmarshal(raw, &line) == nil && len(line.Body) > 0 {
				at := place{file, file.size, len(raw)}
				found = append(found, packet{kind: line.Kind, key: line.Key, place: at, isSpooled: true})
			} else {
				s.settings.tell.once("spool line", "a line of the spool is cut off or damaged and left out (%s)", file.path)
			}
			file.size += int64(len(raw))
		}
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			return found
		}
	}
}
