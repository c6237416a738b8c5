package llmlab

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"sort"
	"strings"
	"time"
)

const (
	amazonEvents = "application/vnd.amazon.eventstream"
	preludeSize  = 12 // length of all, length of headers, checksum
	checksumSize = 4
)

// event is one server-sent event; data is its JSON object, nil for anything else.
type event struct {
	at     time.Time
	name   string
	data   object
	isDone bool
}

// valueOf is the JSON value of some bytes, numbers as they were written; nil when they are none.
func valueOf(raw []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil
	}
	return value
}

func objectOf(raw []byte) object { return mapping(valueOf(raw)) }

func joined(chunks []chunk) []byte {
	if len(chunks) == 1 {
		return chunks[0].raw
	}
	var all []byte
	for _, one := range chunks {
		all = append(all, one.raw...)
	}
	return all
}

// decoded is the answer without its content-encoding; what cannot be decoded is left out. Chunks that were packed lose
// their own times but for the last: net/http unpacks gzip itself unless the program asked for it.
func decoded(c *call) []chunk {
	encodings := strings.Split(c.header.Get("Content-Encoding"), ",")
	chunks := c.chunks
	for i := len(encodings) - 1; i >= 0; i-- {
		encoding := strings.ToLower(strings.TrimSpace(encodings[i]))
		if encoding == "" || encoding == "identity" || len(chunks) == 0 {
			continue
		}
		raw := unpacked(encoding, joined(chunks))
		c.isCut = c.isCut || len(raw) > maxRecorded
		chunks = []chunk{{chunks[len(chunks)-1].at, raw}}
	}
	return chunks
}

func unpacked(encoding string, packed []byte) []byte {
	var reader io.Reader
	var err error
	switch encoding {
	case "gzip", "x-gzip":
		reader, err = gzip.NewReader(bytes.NewReader(packed))
	case "deflate":
		if reader, err = zlib.NewReader(bytes.NewReader(packed)); err != nil {
			reader, err = flate.NewReader(bytes.NewReader(packed)), nil
		}
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	// What came before a break still counts; a megabyte may hold a gigabyte.
	plain, _ := io.ReadAll(io.LimitReader(reader, maxRecorded+1))
	return plain
}

// eventsOf are the events of a stream, each with the time its last byte came.
func eventsOf(chunks []chunk, contentType string) []event {
	if strings.HasPrefix(contentType, amazonEvents) {
		return amazonEventsOf(chunks)
	}
	var events []event
	name, data := "", [][]byte(nil)
	lines(chunks, func(at time.Time, line []byte) {
		switch {
		case len(line) == 0:
			if data != nil {
				events = append(events, eventOf(at, name, bytes.Join(data, []byte("\n"))))
			}
			name, data = "", nil
		case bytes.HasPrefix(line, []byte("data:")):
			data = append(data, bytes.TrimPrefix(line[5:], []byte(" ")))
		case bytes.HasPrefix(line, []byte("event:")):
			name = strings.TrimSpace(string(line[6:]))
		}
	})
	return events
}

// lines calls found for every line without its end, and an empty one at last: some servers forget it.
func lines(chunks []chunk, found func(time.Time, []byte)) {
	var rest []byte
	var at time.Time
	ends := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	for _, one := range chunks {
		at = one.at
		rest = append(rest, one.raw...)
		if bytes.HasSuffix(rest, []byte("\r")) { // may be half of \r\n
			continue
		}
		parts := strings.Split(ends.Replace(string(rest)), "\n")
		for _, line := range parts[:len(parts)-1] {
			found(at, []byte(line))
		}
		rest = []byte(parts[len(parts)-1])
	}
	for _, line := range strings.Split(ends.Replace(string(rest)), "\n") {
		found(at, []byte(line))
	}
	found(at, nil)
}

func eventOf(at time.Time, name string, raw []byte) event {
	if string(bytes.TrimSpace(raw)) == "[DONE]" {
		return event{at: at, name: name, isDone: true}
	}
	data := objectOf(raw)
	if kind := text(data["type"]); kind != "" {
		name = kind
	}
	return event{at: at, name: name, data: data}
}

// amazonEventsOf reads Amazon's binary frames: each payload is {"bytes": base64 of the provider's event}.
func amazonEventsOf(chunks []chunk) []event {
	var events []event
	var rest []byte
	for _, one := range chunks {
		rest = append(rest, one.raw...)
		for len(rest) >= preludeSize {
			size := int(binary.BigEndian.Uint32(rest))
			headers := int(binary.BigEndian.Uint32(rest[4:]))
			if headers < 0 || size < preludeSize+headers+checksumSize {
				return events // no such frame: what follows cannot be found
			}
			if len(rest) < size {
				break
			}
			payload := objectOf(rest[preludeSize+headers : size-checksumSize])
			rest = rest[size:]
			events = append(events, amazonEvent(one.at, payload))
		}
	}
	return events
}

func amazonEvent(at time.Time, payload object) event {
	packed, ok := payload["bytes"].(string)
	if !ok {
		if message := payload["message"]; !isEmpty(message) {
			return event{at: at, name: "error", data: object{"type": "error", "error": object{"message": message}}}
		}
		return event{at: at}
	}
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err != nil {
		return event{at: at}
	}
	return eventOf(at, "", raw)
}

// index reads the place of a piece; false when it has none.
func index(value any) (int, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	place, err := number.Int64()
	return int(place), err == nil
}

// places are the keys of a fold in their order.
func places[T any](parts map[int]T) []int {
	found := make([]int, 0, len(parts))
	for place := range parts {
		found = append(found, place)
	}
	sort.Ints(found)
	return found
}
