//go:build race

package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// plainly runs the longest tests, those of whole weeks and of other programs'
// repositories, in the program without the race detector, where make has built that, and
// says whether it has. What they call is called under the detector by shorter tests.
func plainly(t *testing.T) bool {
	t.Helper()
	exe := os.Getenv("COMEBACK_CHILD")
	if exe == "" {
		return false
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60m")
	cmd.Env = append(os.Environ(), "COMEBACK_TEST_PARENT="+strconv.Itoa(os.Getpid()))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("without the race detector: %v\n%s", err, out)
	}
	return true
}
