package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"

	"comeback/recovery"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// told is standard output where it is no terminal. It remembers that something could not be
// written: whoever reads half of an answer must not take it for the whole.
type told struct {
	io.Writer
	mu   sync.Mutex
	lost error
}

func (t *told) Write(p []byte) (int, error) {
	n, err := t.Writer.Write(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost == nil {
		t.lost = err
	}
	return n, err
}

// keepsTold makes the program remember what it could not write. What has no person and no
// file at its end, the process of a run and the other end of --on, writes as it is.
func (a *app) keepsTold(args []string) *told {
	if f, ok := a.out.(*os.File); ok && (term.IsTerminal(int(f.Fd())) || len(args) > 0 && slices.Contains([]string{"runner", "remote"}, args[0])) {
		return &told{}
	}
	t := &told{Writer: a.out}
	a.out = t
	return t
}

// tells are the commands whose work is what they print.
var tells = []string{"comeback version", "comeback help", "comeback completion", "comeback runs", "comeback status", "comeback look", "comeback moments",
	"comeback check", "comeback schedule", "comeback report", "comeback report show", "comeback report verify", "comeback report export", "comeback runbook",
	"comeback runbook new", "comeback runbook lint", "comeback runbook keys", "comeback runbook verify", "comeback rescue show", "comeback wal"}

// gone reports whether a reader went away, as head does when it has enough. That is nobody's
// failure.
func gone(err error) bool { return errors.Is(err, syscall.EPIPE) }

// notTold says that what was to be told could not be written, and gives the exit code of a
// command that would have ended with another one.
func (a *app) notTold(args []string, lost error, code recovery.Exit) recovery.Exit {
	a.tell(recovery.Errorf("make room, or write it elsewhere, and ask again", "not everything that was to be told could be written: %w", lost))
	cmd, _, err := a.root().Find(args)
	switch {
	case code != recovery.CameBack || err != nil:
		return code
	case slices.Contains(args, "--help") || slices.Contains(args, "-h"):
		return recovery.Failed
	case wrong(cmd) != recovery.Usage:
		return wrong(cmd)
	case slices.Contains(tells, cmd.CommandPath()):
		return recovery.Failed
	}
	return code
}

// failure is the JSON of what has kept a command from its answer.
type failure struct {
	Error string        `json:"error"`
	Next  string        `json:"next,omitempty"`
	Exit  recovery.Exit `json:"exit"`
}

// tellJSON tells a failure to whoever reads JSON on standard output, too.
func (a *app) tellJSON(args []string, err error, code recovery.Exit) {
	cmd, _, unknown := a.root().Find(args)
	if unknown != nil || !asksJSON(cmd, args) {
		return
	}
	b, errJSON := json.Marshal(failure{Error: a.said(err.Error()), Next: a.said(recovery.HintOf(err)), Exit: code})
	if errJSON == nil { // texts and a number
		fmt.Fprintf(a.out, "%s\n", b)
	}
}

// asksJSON reports whether a command line asks for JSON, also one that is wrong otherwise.
func asksJSON(cmd *cobra.Command, args []string) bool {
	return cmd.Flags().Lookup("json") != nil && (slices.Contains(args, "--json") || slices.Contains(args, "--json=true"))
}
