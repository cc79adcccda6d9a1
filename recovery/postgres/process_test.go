package postgres

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"comeback/recovery/isolation"
)

// A server whose box cannot be made on a host that gives them is not started without.
func TestStartProcess_box(t *testing.T) {
	touched := filepath.Join(t.TempDir(), "touched")
	p, err := startProcess(isolation.Box{Hide: []string{"/proc"}}, "/bin/touch", []string{touched}, nil, nil, func(string) {})
	if err == nil {
		<-p.exited
	}
	if _, ran := os.Lstat(touched); err == nil || !errors.Is(ran, fs.ErrNotExist) {
		t.Errorf("it was started: %v", err)
	}
}
