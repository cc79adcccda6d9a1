package execute

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// script is a shell block's text as it was planned, and the file that it is run
// from.
type script struct {
	path    string
	planned []byte
}

// scriptName is the artifact that a step's script is kept in.
func scriptName(step string, attempt int) string {
	return strings.TrimSuffix(logName(step, attempt), ".log") + ".sh"
}

// keepScript writes a script as an artifact; it is durable when this returns.
func (x *Executor) keepScript(e recovery.Env, name, text string) (script, error) {
	file, err := e.Artifact(name)
	if err != nil {
		return script{}, err
	}
	if _, err := io.WriteString(file, text); err != nil {
		return script{}, errors.Join(fmt.Errorf("write the script: %w", err), file.Close())
	}
	if err := file.Close(); err != nil {
		return script{}, err
	}
	return script{path: filepath.Join(x.Dir, recovery.ArtifactsDir, name), planned: []byte(text)}, nil
}

// verify refuses a file that is not the planned script any more. It is called
// immediately before each start.
func (s script) verify() error {
	f, err := os.OpenFile(s.path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("read the script: %w", err)
	}
	defer f.Close()
	found, err := io.ReadAll(io.LimitReader(f, int64(len(s.planned))+1))
	if err != nil {
		return fmt.Errorf("read the script: %w", err)
	}
	if !bytes.Equal(found, s.planned) {
		return recovery.Errorf("find out who changed it, then run the stage again",
			"refused: %s is not what was planned any more", s.path).WithExit(recovery.Refused)
	}
	return nil
}
