// Uses all that state can do, and says what it found.
package main

import (
	"errors"
	"fmt"
)

func accept(*Event, *Message) (Decision, error) {
	_, first := StateIncrement("number", 5_000_000_000, 60)
	sum, second := StateIncrement("number", -1, 60)
	number, third := StateGet("number")
	fourth := StateSet("key", []byte("v"), 0)
	keptValue, fifth := StateGet("key")
	sixth := StateRemove("key")
	gone, seventh := StateGet("key")
	eighth := StateSet("odd", []byte("x"), 0)
	if err := errors.Join(first, second, third, fourth, fifth, sixth, seventh, eighth); err != nil {
		return Decision{}, err
	}
	same := map[bool]string{true: "same", false: "other"}[sum == 4_999_999_999]
	there := map[bool]string{true: "gone", false: "kept"}[gone == nil]
	_, err := StateIncrement("odd", 1, 0)
	refused := &Failure{}
	errors.As(err, &refused)
	return Reject(fmt.Sprintf("%s %s %s %s %s", number, same, keptValue, there, refused.Code)), nil
}

func configure([]byte) error { return nil }
