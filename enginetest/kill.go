package enginetest

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"comeback/recovery"
)

// killServer kills the postmaster behind a binding, as the kernel would. A binding
// without one is left alone.
func killServer(b recovery.Binding) error {
	u, err := url.Parse(b.URL)
	if err != nil {
		return err
	}
	socket := u.Query().Get("host")
	if u.Scheme != "postgres" || socket == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(socket, ".s.PGSQL.5432.lock"))
	if err != nil {
		return err
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.Atoi(string(first))
	if err != nil {
		return fmt.Errorf("read who serves %s: %w", socket, err)
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}
