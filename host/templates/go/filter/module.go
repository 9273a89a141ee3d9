// {{name}}: a filter. It accepts messages of some types, and with some value in their body:
//
//	{"events": ["push"], "pointer": "/ref", "equals": "refs/heads/main"}
package main

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

const usage = `settings are {"events": ["push"], "pointer": "/a/b", "equals": "c"}; pointer and equals go together`

var settings struct {
	events     []string
	hasEvents  bool
	pointer    string
	hasPointer bool
	equals     any
	hasEquals  bool
}

func accept(_ *Event, message *Message) (Decision, error) {
	if settings.hasEvents && !slices.Contains(settings.events, message.EventType) {
		return Reject("the event type is " + message.EventType), nil
	}
	if !settings.hasPointer {
		return Accept(), nil
	}
	body, err := ParseJSON(message.Body)
	if err != nil {
		return Decision{}, &Failure{"input-invalid", "the body is not JSON"}
	}
	value, there := find(body, settings.pointer)
	if !there {
		return Reject(settings.pointer + " is not there"), nil
	}
	if value != settings.equals {
		return Reject(settings.pointer + " is something else"), nil
	}
	return Accept(), nil
}

// The value at a JSON pointer such as "/a/0/b".
func find(value any, pointer string) (any, bool) {
	for _, token := range strings.Split(pointer, "/")[1:] {
		key := strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		there := false
		switch all := value.(type) {
		case map[string]any:
			value, there = all[key]
		case []any:
			index, err := strconv.Atoi(key)
			if there = err == nil && key == strconv.Itoa(index) && index >= 0 && index < len(all); there {
				value = all[index]
			}
		}
		if !there {
			return nil, false
		}
	}
	return value, true
}

func configure(text []byte) error {
	given, err := ParseJSON(text)
	object, isObject := given.(map[string]any)
	if err != nil || !isObject {
		return &Failure{"settings-invalid", usage}
	}
	for name, value := range object {
		if !readSetting(name, value) {
			return &Failure{"settings-invalid", usage}
		}
	}
	if settings.hasPointer != settings.hasEquals {
		return &Failure{"settings-invalid", usage}
	}
	return nil
}

func readSetting(name string, value any) (good bool) {
	switch name {
	case "events":
		var list []any
		list, settings.hasEvents = value.([]any)
		good = settings.hasEvents
		for _, item := range list {
			event, isString := item.(string)
			settings.events = append(settings.events, event)
			good = good && isString
		}
	case "pointer":
		settings.pointer, settings.hasPointer = value.(string)
		good = settings.hasPointer && (settings.pointer == "" || settings.pointer[0] == '/')
	case "equals":
		settings.equals, settings.hasEquals = value, true
		switch simple := value.(type) {
		case nil, bool, string:
			good = true
		case json.Number:
			good = !strings.ContainsAny(simple.String(), ".eE")
		}
	}
	return good
}
