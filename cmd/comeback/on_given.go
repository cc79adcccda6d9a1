package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comeback/durable"
)

// A command about a run names no runbook, so that it is the host that tells which variables
// the run's own one there names. It is given those that this end has given it before, of
// its own accord: by a runbook that was read here, or by --give. A host that asks for more
// is told of, and given nothing.

// givenFile is the file of the state that remembers by name, and not by value, what this
// user has given to which host.
func (a *app) givenFile() (string, error) {
	home, err := a.home()
	if err != nil {
		return "", err
	}
	return filepath.Join(home.Dir, fmt.Sprintf("given-%d.json", os.Geteuid())), nil
}

// givenBefore are the names that hosts were given, by host.
func (a *app) givenBefore() (map[string][]string, error) {
	path, err := a.givenFile()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string][]string{}, nil
	}
	given := map[string][]string{}
	if err == nil {
		err = json.Unmarshal(b, &given)
	}
	if err != nil {
		return nil, fmt.Errorf("read what hosts were given before: %w", err)
	}
	return given, nil
}

// remembersGiven notes that a host is given variables, which are written "NAME=value".
func (a *app) remembersGiven(host string, env []string) (err error) {
	path, err := a.givenFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("remember what %s is given: %w", host, err)
	}
	alone, err := durable.LockDir(filepath.Dir(path)) // from other commands of this user
	if err != nil {
		return fmt.Errorf("remember what %s is given: %w", host, err)
	}
	defer func() { err = errors.Join(err, alone.Close()) }()
	given, err := a.givenBefore()
	if err != nil {
		return err
	}
	known := slices.Clone(given[host])
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		known = append(known, name)
	}
	slices.Sort(known)
	if known = slices.Compact(known); slices.Equal(known, given[host]) {
		return nil
	}
	given[host] = known
	b, err := json.Marshal(given)
	if err != nil {
		return err
	}
	if err := durable.Replace(path, b); err != nil {
		return fmt.Errorf("remember what %s is given: %w", host, err)
	}
	return nil
}

// asksFor parts what a host asks for into what it was given before, and what is set here
// all the same.
func (a *app) asksFor(host string, names []string) (before, more []string, err error) {
	given, err := a.givenBefore()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.DeleteFunc(names, hostsOwn) {
		switch _, set := a.lookup(name); {
		case !set:
		case slices.Contains(given[host], name):
			before = append(before, name)
		default:
			more = append(more, name)
		}
	}
	return before, more, nil
}
