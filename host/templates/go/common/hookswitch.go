// What Hookswitch and a module say to each other: the WIT contract in wit/, as Go. What is exported is in export.go.
//
// The raw structs lie in memory exactly as the component model's canonical ABI has them: addresses are 32 bits there. The host makes a
// fresh instance for every call, so nothing is ever given back, and a variable of the package is new each time.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"unicode/utf8"
	"unsafe"
)

// A module is a library: its exports are called, main is not.
func main() {}

// A call is over before there is much garbage: it is collected only where memory gets scarce, of the 64 MiB that a host gives by itself.
func init() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(40 << 20)
}

// Header is one HTTP header, its name in lower case.
type Header struct{ Name, Value string }

// Event is what was received, the same at every step of a route.
type Event struct {
	ID, Tenant, Source, EventType string
	ReceivedAtMs                  uint64
	Headers                       []Header
}

// Message is what the step before left of it.
type Message struct {
	EventType, ContentType string
	Headers                []Header
	Body                   []byte
	OrderingKey            *string
	DelayMs                uint64
}

// Output is a message that a transform makes; what is nil stays as it was. An empty ordering key takes the message's away.
type Output struct {
	EventType, ContentType *string
	Headers                *[]Header
	Body                   *[]byte
	OrderingKey            *string
	DelayMs                *uint64
}

// Decision is a filter's verdict: Accept or Reject.
type Decision struct{ reason *string }

func Accept() Decision              { return Decision{} }
func Reject(reason string) Decision { return Decision{&reason} }

// Failure says why the module could not do its work: the event's trace shows it, and the route says what becomes of the run. Another
// error is answered with the code "failed".
type Failure struct{ Code, Message string }

func (failure *Failure) Error() string { return failure.Code + ": " + failure.Message }

// ParseJSON reads JSON, in UTF-8. Numbers are json.Number, and stay as they are written.
func ParseJSON(text []byte) (value any, err error) {
	if !utf8.Valid(text) {
		return nil, errors.New("not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err = decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err = decoder.Token(); err != io.EOF {
		return nil, errors.New("there is more after the JSON")
	}
	return value, nil
}

type Level uint32

const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Log writes a line for the event's trace.
func Log(level Level, line string) { logWrite(uint32(level), address(line), uint32(len(line))) }

// EventBody is the event's body as received, whatever the steps before made of the message.
func EventBody() []byte {
	found := keep(new(text))
	contextEventBody(unsafe.Pointer(found))
	return found.bytes()
}

// Origin says why the module runs: live, rerun, replay, test. More may come.
func Origin() string {
	found := keep(new(text))
	contextOrigin(unsafe.Pointer(found))
	return found.string()
}

// The state is a small store that outlives the call, for a step that says `state = true`: wit/types.wit has its rules. A time to live is in
// seconds; 0 keeps for good. Errors are Failures.

// StateGet answers the value under a key, or nil.
func StateGet(key string) ([]byte, error) {
	found := keep(new(answer))
	stateGet(address(key), uint32(len(key)), unsafe.Pointer(found))
	if err := found.err(); err != nil || found.words[0]&1 == 0 {
		return nil, err
	}
	return text{found.words[1], found.words[2]}.bytes(), nil
}

func StateSet(key string, value []byte, ttlS uint32) error {
	done := keep(new(answer))
	given := string(value)
	stateSet(address(key), uint32(len(key)), address(given), uint32(len(given)), ttlS, unsafe.Pointer(done))
	return done.err()
}

func StateRemove(key string) error {
	done := keep(new(answer))
	stateRemove(address(key), uint32(len(key)), unsafe.Pointer(done))
	return done.err()
}

// StateIncrement adds to the number under a key, 0 where there is none, and answers the sum.
func StateIncrement(key string, by int64, ttlS uint32) (int64, error) {
	// The sum wants eight bytes in a row, so the failure begins at the eighth, too.
	type sum struct {
		failed uint8
		value  int64
		more   [2]uint32
	}
	found := keep(new(sum))
	stateIncrement(address(key), uint32(len(key)), by, ttlS, unsafe.Pointer(found))
	if found.failed&1 == 1 {
		code := text{uint32(found.value), uint32(uint64(found.value) >> 32)}
		return 0, &Failure{code.string(), text(found.more).string()}
	}
	return found.value, nil
}

//go:wasmimport hookswitch:module/log@0.1.0 write
func logWrite(level, line, length uint32)

//go:wasmimport hookswitch:module/context@0.1.0 event-body
func contextEventBody(found unsafe.Pointer)

//go:wasmimport hookswitch:module/context@0.1.0 origin
func contextOrigin(found unsafe.Pointer)

//go:wasmimport hookswitch:module/state@0.1.0 get
func stateGet(key, length uint32, found unsafe.Pointer)

//go:wasmimport hookswitch:module/state@0.1.0 set
func stateSet(key, length, value, valueLength, ttlS uint32, done unsafe.Pointer)

//go:wasmimport hookswitch:module/state@0.1.0 remove
func stateRemove(key, length uint32, done unsafe.Pointer)

//go:wasmimport hookswitch:module/state@0.1.0 increment
func stateIncrement(key, length uint32, by int64, ttlS uint32, sum unsafe.Pointer)

// Everything that the host knows the address of: Go must not take it for garbage.
var kept []any

func keep[T any](value *T) *T {
	kept = append(kept, value)
	return value
}

//go:wasmexport cabi_realloc
func reallocate(old, oldLength, _, length uint32) uint32 {
	words := make([]uint64, length/8+1)
	kept = append(kept, words)
	begin := unsafe.Pointer(&words[0])
	if old != 0 {
		copy(unsafe.Slice((*byte)(begin), length), text{old, min(oldLength, length)}.bytes())
	}
	return uint32(uintptr(begin))
}

// UTF-8 or bytes: where, and how many. A list of something else has the same form.
type text [2]uint32

func (raw text) bytes() []byte  { return unsafe.Slice((*byte)(at(raw[0])), raw[1]) }
func (raw text) string() string { return unsafe.String((*byte)(at(raw[0])), raw[1]) }

func at(address uint32) unsafe.Pointer {
	if address == 0 {
		return nil
	}
	return unsafe.Pointer(uintptr(address))
}

// The address of a text, which is kept.
func address(line string) uint32 {
	begin := unsafe.StringData(line)
	kept = append(kept, begin)
	return uint32(uintptr(unsafe.Pointer(begin)))
}

func textOf(line string) text { return text{address(line), uint32(len(line))} }

type option struct {
	some  uint32
	value text
}

type rawHeader struct{ name, value text }

type rawEvent struct {
	id, tenant, source, eventType text
	receivedAtMs                  uint64
	headers                       text
}

type rawMessage struct {
	eventType, contentType, headers, body text
	orderingKey                           option
	delayMs                               uint64
}

type rawCall struct {
	event   rawEvent
	message rawMessage
}

func headersAt(raw text) []Header {
	headers := make([]Header, 0, raw[1])
	for _, header := range unsafe.Slice((*rawHeader)(at(raw[0])), raw[1]) {
		headers = append(headers, Header{header.name.string(), header.value.string()})
	}
	return headers
}

// The arguments of the call proper.
func arguments(address uint32) (*Event, *Message) {
	raw := (*rawCall)(at(address))
	e, m := &raw.event, &raw.message
	message := &Message{m.eventType.string(), m.contentType.string(), headersAt(m.headers), m.body.bytes(), nil, m.delayMs}
	if m.orderingKey.some&1 == 1 {
		key := m.orderingKey.value.string()
		message.OrderingKey = &key
	}
	return &Event{e.id.string(), e.tenant.string(), e.source.string(), e.eventType.string(), e.receivedAtMs, headersAt(e.headers)}, message
}

// What an export answers: whether it failed, then the answer or the failure.
type answer struct {
	failed uint32
	words  [4]uint32
}

func (raw *answer) err() error {
	if raw.failed&1 == 0 {
		return nil
	}
	return &Failure{text{raw.words[0], raw.words[1]}.string(), text{raw.words[2], raw.words[3]}.string()}
}

// The address of an answer.
func answered(words [4]uint32, err error) uint32 {
	raw := keep(&answer{0, words})
	if err != nil {
		failure := &Failure{"failed", err.Error()}
		errors.As(err, &failure)
		code, message := textOf(failure.Code), textOf(failure.Message)
		*raw = answer{1, [4]uint32{code[0], code[1], message[0], message[1]}}
	}
	return uint32(uintptr(unsafe.Pointer(raw)))
}

// A panic is a trap, and its words go to the event's trace.
func tellPanic() {
	if reason := recover(); reason != nil {
		Log(Error, fmt.Sprintf("panic: %v\n%s", reason, debug.Stack()))
		panic(reason)
	}
}
