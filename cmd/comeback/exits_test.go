package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/isolation"

	"github.com/spf13/cobra"
)

// exitTable finds the table of exit codes in a help, exitLine a code in it, or a span of them,
// with what it means.
var (
	exitTable = regexp.MustCompile(`(?m)^Exit codes[^\n]*:\n((?:  .*(?:\n|$))+)`)
	exitLine  = regexp.MustCompile(`(?m)^  (\d+)(?:\.\.(\d+))? +(\S.*)$`)
)

// exits are the codes that a command's help names, from one to another each.
func exits(cmd *cobra.Command) (spans [][2]int) {
	table := exitTable.FindStringSubmatch(cmd.Long)
	if table == nil {
		return nil
	}
	for _, line := range exitLine.FindAllStringSubmatch(table[1], -1) {
		from, _ := strconv.Atoi(line[1]) // digits
		to := from
		if line[2] != "" {
			to, _ = strconv.Atoi(line[2])
		}
		spans = append(spans, [2]int{from, to})
	}
	return spans
}

func helpNames(cmd *cobra.Command, code int) bool {
	for _, span := range exits(cmd) {
		if span[0] <= code && code <= span[1] {
			return true
		}
	}
	return false
}

// exitNamed is the error that a command line has ended with a code which the command's help does
// not name. Every command line of the tests is held against it: those of rigs, of scripts, and
// of processes.
func exitNamed(args []string, code recovery.Exit) error {
	cmd, _, err := newApp().root().Find(args)
	if err != nil || cmd.Hidden || len(args) > 0 && strings.HasPrefix(args[0], "__complete") {
		return err
	}
	if !helpNames(cmd, int(code)) {
		return fmt.Errorf("comeback %s has ended with %d, which %s --help does not name", strings.Join(args, " "), code, cmd.CommandPath())
	}
	return nil
}

// unnamed is the exit code of a process whose own was not named.
const unnamed = 99

// carriedOut is main, held against what help names.
func carriedOut() {
	isolation.Init()
	ignorePipes()
	code := program(os.Args[1:])
	if err := exitNamed(os.Args[1:], code); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = unnamed
	}
	os.Exit(int(code))
}

// The help of every command names its exit codes: that of success, and that of a command line
// that is wrong. The README has those of runs as help has them.
func TestExits(t *testing.T) {
	root := newRig(t).app(io.Discard, io.Discard).root()
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		wrong := int(recovery.Usage)
		switch cmd.CommandPath() {
		case "comeback check":
			wrong = int(recovery.CheckUnknown)
		case "comeback wal fetch":
			wrong = int(fetchFailed)
		}
		for _, code := range []int{0, wrong} {
			if !helpNames(cmd, code) {
				t.Errorf("%s --help does not name %d:\n%s", cmd.CommandPath(), code, cmd.Long)
			}
		}
		if helpNames(cmd, unnamed) {
			t.Errorf("%s --help names every code", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(root)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	told := strings.ReplaceAll(string(readme), "`", "")
	for _, line := range exitLine.FindAllStringSubmatch(strings.ReplaceAll(exitCodes, "\n       ", " "), -1) {
		if row := "| " + line[1] + " | " + line[3] + " |"; !strings.Contains(told, row) {
			t.Errorf("README.md has no row %s", row)
		}
	}
}
