package enginetest

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
)

// RunAs runs a program as a user, or as its own where that one has no ID, and gives it
// in to read.
func RunAs(t testing.TB, owner recovery.User, in string, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin, cmd.Dir = strings.NewReader(in), "/"
	if owner.UID >= 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(owner.UID), Gid: uint32(owner.GID)}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
}
