package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

const (
	heading = `| row | work | comeback | instead | ratio | goal | reached | of the bound | measured | to repeat |
|---|---|---|---|---|---|---|---|---|---|`
	growthHeading = `| row | size | time | per 1 000 MB | most memory of comeback's process | measured | to repeat |
|---|---|---|---|---|---|---|`
)

// record puts a row's line into a table of BENCHMARKS.md, in place of the one from before.
func record(file, heading, name, line string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| "+name+" |") })
	if at >= 0 {
		lines[at] = line
		return os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644)
	}
	first, _, _ := strings.Cut(heading, "\n")
	if at = slices.Index(lines, first); at < 0 {
		return fmt.Errorf("%s holds no table to put the row into", file)
	}
	for at < len(lines) && strings.HasPrefix(lines[at], "|") {
		at++
	}
	return os.WriteFile(file, []byte(strings.Join(slices.Insert(lines, at, line), "\n")), 0o644)
}

// loadAverage is the machine's over the last minute.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}
