package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"comeback/pattern"
	"comeback/recovery"
)

// saying is one line of fetch.
type saying struct {
	Done  int64  `json:"done,string"`
	Total int64  `json:"total,string"`
	Unit  string `json:"unit"`
	Says  string `json:"says"`

	Tree    string    `json:"tree,omitempty"`
	Cluster string    `json:"cluster,omitempty"`
	Address string    `json:"address,omitempty"`
	Reached time.Time `json:"reached,omitzero"`
}

// progress reports whether it says how far the command is.
func (s saying) progress() bool { return s.Total > 0 || s.Done > 0 }

// made reports whether it says what was made.
func (s saying) made() bool { return s.Tree != "" || s.Cluster != "" || s.Address != "" }

// answer collects what fetch prints, and shows it.
type answer struct {
	meter  recovery.Meter
	phase  saying
	made   []saying
	rest   []byte
	tooBig bool

	// told says that the command has said how far it is.
	mu   sync.Mutex
	told bool
}

// Write takes a part of the output, line by line.
func (a *answer) Write(p []byte) (int, error) {
	for _, c := range p {
		if c != '\n' {
			if len(a.rest) < maxLine {
				a.rest = append(a.rest, c)
			} else {
				a.tooBig = true
			}
			continue
		}
		a.line()
	}
	return len(p), nil
}

// line is at the end of one.
func (a *answer) line() {
	text, whole := string(a.rest), !a.tooBig
	a.rest, a.tooBig = a.rest[:0], false
	var s saying
	if !whole || json.Unmarshal([]byte(text), &s) != nil || !s.progress() && !s.made() {
		if text != "" {
			a.meter.Log(text)
		}
		return
	}
	if s.made() {
		a.made = append(a.made, s)
	}
	if !s.progress() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = true
	if s.Says != a.phase.Says || s.Total != a.phase.Total {
		unit := recovery.InItems
		if s.Unit == string(recovery.InBytes) {
			unit = recovery.InBytes
		}
		says := s.Says
		if says == "" {
			says = "fetch"
		}
		a.meter.Phase(says, s.Total, unit)
	}
	a.phase = s
	a.meter.Set(s.Done)
}

// result is the one thing that the command says it has made, held to the kind of
// the component and to the directory it was given.
func (a *answer) result(kind recovery.ComponentKind, dir string, removes bool) (saying, error) {
	if len(a.rest) > 0 {
		a.line()
	}
	if len(a.made) != 1 {
		return saying{}, recovery.Errorf(shape(kind), "the command did not say what it has made: it must do so once, and did %d times", len(a.made))
	}
	s := a.made[0]
	switch kind {
	case recovery.Files:
		if s.Tree == "" || s.Cluster+s.Address != "" {
			return s, recovery.Errorf(shape(kind), "the command says that it has made something else than a tree of files")
		}
		return s, inside(dir, s.Tree)
	case recovery.Postgres:
		switch {
		case s.Tree != "" || (s.Cluster == "") == (s.Address == ""):
			return s, recovery.Errorf(shape(kind), "the command says that it has made something else than one cluster or one server")
		case s.Cluster != "":
			return s, inside(dir, s.Cluster)
		case !removes:
			return s, recovery.Errorf("give the component a command to `remove` it, and remove it by hand now", "the command has made a server elsewhere, and nothing in the runbook says how that is removed")
		}
		return s, harmless(s.Address)
	}
	return s, recovery.Errorf("use another engine", "commands cannot restore a component of kind %s", kind)
}

func shape(kind recovery.ComponentKind) string {
	if kind == recovery.Files {
		return `let it print {"tree": "DIRECTORY"} at its end`
	}
	return `let it print {"cluster": "DIRECTORY"} or {"address": "postgres://…"} at its end`
}

// inside holds a path to the directory that the command was given.
func inside(dir, path string) error {
	if !filepath.IsLocal(path) {
		return recovery.Errorf("let it name a directory below COMEBACK_DIR", "the command names %q, which is not inside of the directory that it was given", path).WithExit(recovery.Refused)
	}
	whole := filepath.Join(dir, path)
	real, err := filepath.EvalSymlinks(whole)
	if errors.Is(err, fs.ErrNotExist) {
		return recovery.Errorf("look into the step's log", "the command names %q, which is not there", path)
	}
	if err != nil {
		return fmt.Errorf("look at what the command has made: %w", err)
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("look at what the command has made: %w", err)
	}
	if rel, err := filepath.Rel(root, real); err != nil || !filepath.IsLocal(rel) {
		return recovery.Errorf("let it write below COMEBACK_DIR", "what the command names lies elsewhere: %s", real).WithExit(recovery.Refused)
	}
	if info, err := os.Stat(real); err != nil || !info.IsDir() {
		return errors.Join(recovery.Errorf("let it name a directory", "what the command names is no directory: %s", path), err)
	}
	return nil
}

// reference is one of the runbook's, which is resolved when it is used.
var reference = pattern.New(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// harmless refuses an address that would put a secret into the journal, or cannot be
// one. A password may be a reference: "postgres://app:${APP_PASSWORD}@host/shop".
func harmless(address string) error {
	const hidden = "reference"
	u, err := url.Parse(reference.ReplaceAllString(address, hidden))
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && u.Query().Get("host") == "" {
		return recovery.Errorf("let it print postgres://USER@HOST:PORT/DATABASE", "the command does not answer with the address of a server")
	}
	if password, has := u.User.Password(); has && password != hidden || u.Query().Has("password") {
		return recovery.Errorf("let it print a reference to a secret that the runbook names under needs:, like postgres://app:${APP_PASSWORD}@host/shop",
			"the command answers with an address that holds a password, which would be recorded").WithExit(recovery.Refused)
	}
	return nil
}
