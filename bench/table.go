package main

import (
	"fmt"
	"os"
	"strings"
)

const heading = `| row | work | comeback | instead | ratio | goal | reached | measured | to repeat |
|---|---|---|---|---|---|---|---|---|`

// record puts a row's line into the table of BENCHMARKS.md, in place of the one
// from before.
func record(file, name, line string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	last := -1
	for i, l := range lines {
		if strings.HasPrefix(l, "| "+name+" |") {
			lines[i] = line
			return os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644)
		}
		if strings.HasPrefix(l, "|---|---|---|---|---|---|---|---|---|") || last >= 0 && strings.HasPrefix(l, "| ") && last == i-1 {
			last = i
		}
	}
	if last < 0 {
		return fmt.Errorf("%s holds no table to put the row into", file)
	}
	lines = append(lines[:last+1], append([]string{line}, lines[last+1:]...)...)
	return os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644)
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
