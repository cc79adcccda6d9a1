package main

import (
	"strings"

	"comeback/pattern"
)

// there is what a command needs to be carried out on this host, where it was asked for from
// another one.
func (a *app) there() string {
	if host, on := a.lookup(onEnv); on {
		return " --on " + clean(host)
	}
	return ""
}

// said is a text as it is told: without secrets, and with commands that can be pasted where
// it is read.
func (a *app) said(text string) string { return a.fromThere(a.redact(text)) }

var (
	// ofRuns are commands about a run, which are carried out where the run is.
	ofRuns = pattern.New(`\bcomeback (?:attach|resume|stop|status|look|terminal|approve|switch-back|expire|rescue (?:undo|show|choose)) [0-9a-f]{4,16}\b(?: --on\b)?`)
	// listsRuns is the command that lists them, at the end of a text.
	listsRuns = pattern.New(`\bcomeback runs$`)
)

// fromThere gives the commands of a text that are about runs of this host what they need to be
// carried out here, where the text is told on another host.
func (a *app) fromThere(text string) string {
	on := a.there()
	if on == "" {
		return text
	}
	text = ofRuns.ReplaceAllStringFunc(text, func(command string) string {
		if strings.HasSuffix(command, "--on") {
			return command
		}
		run := strings.LastIndexByte(command, ' ')
		return command[:run] + on + command[run:]
	})
	return listsRuns.ReplaceAllStringFunc(text, func(command string) string { return command + on })
}
