// {{name}}: a transform. It makes a Slack message of a pull request's event, and none of any other:
//
//	{"channel": "#pulls"}
package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Where to post, or nothing.
var channel *string

func apply(_ *Event, message *Message) ([]Output, error) {
	if message.EventType != "pull_request" {
		return nil, nil
	}
	body, err := ParseJSON(message.Body)
	if err != nil {
		return nil, &Failure{"input-invalid", "the body is not JSON"}
	}
	slack, err := slackMessage(body)
	if err != nil {
		return nil, err
	}
	made, err := json.Marshal(slack)
	contentType := "application/json"
	return []Output{{ContentType: &contentType, Body: &made}}, err
}

type object = map[string]any

func slackMessage(body any) (object, error) {
	read := reader{body: body}
	action := read.string("/action")
	login := escape(read.string("/sender/login"))
	id := read.integer("/pull_request/id")
	number := read.integer("/pull_request/number")
	title := escape(read.string("/pull_request/title"))
	url := escape(read.string("/pull_request/html_url"))
	repository := escape(read.string("/repository/full_name"))
	repositoryID := read.integer("/repository/id")
	if read.err != nil {
		return nil, read.err
	}
	verb := escape(strings.ReplaceAll(action, "_", " "))
	if action == "closed" && find(body, "/pull_request/merged") == true {
		verb = "merged"
	}
	slack := object{
		"text": fmt.Sprintf("%s %s #%s %s", login, verb, number, title),
		"blocks": []object{
			{"type": "section", "text": mrkdwn(fmt.Sprintf("%s %s <%s|#%s %s>", login, verb, url, number, title))},
			{"type": "context", "elements": []object{mrkdwn(repository)}},
		},
		"metadata": object{
			"event_type":    "github_pull_request",
			"event_payload": object{"id": id, "number": number, "repository_id": repositoryID},
		},
	}
	if channel != nil {
		slack["channel"] = *channel
	}
	return slack, nil
}

func mrkdwn(text string) object { return object{"type": "mrkdwn", "verbatim": true, "text": text} }

// Nothing in a payload can mention anybody in Slack, or look like another link.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// The value at the place that such a pointer names: "/pull_request/id".
func find(value any, pointer string) any {
	for _, key := range strings.Split(pointer, "/")[1:] {
		inner, _ := value.(object)
		value = inner[key]
	}
	return value
}

// Reads values, and keeps what is wrong first.
type reader struct {
	body any
	err  error
}

func (read *reader) string(pointer string) string {
	value, is := find(read.body, pointer).(string)
	read.expect(is, pointer+" is not a string")
	return value
}

// It is kept as it is written: an id may be larger than any integer of the language.
func (read *reader) integer(pointer string) json.Number {
	value, is := find(read.body, pointer).(json.Number)
	read.expect(is && !strings.ContainsAny(value.String(), ".eE"), pointer+" is not an integer")
	return value
}

func (read *reader) expect(is bool, problem string) {
	if !is && read.err == nil {
		read.err = &Failure{"input-invalid", problem}
	}
}

func configure(text []byte) error {
	given, err := ParseJSON(text)
	settings, good := given.(object)
	if value, there := settings["channel"]; there {
		name, isString := value.(string)
		channel, good = &name, isString && len(settings) == 1
	} else {
		good = good && len(settings) == 0
	}
	if err != nil || !good {
		return &Failure{"settings-invalid", `settings are {"channel": "#pulls"}`}
	}
	return nil
}
