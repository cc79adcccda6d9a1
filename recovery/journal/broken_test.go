package journal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// A line that could not be taken back is the last: what came after it would follow
// what nobody was told of.
func TestAppend_notTakenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), Name)
	j, err := Create(path, strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	e, err := recovery.NewEvent(time.Now(), recovery.StepStarted{Step: "a"})
	if err != nil {
		t.Fatal(err)
	}
	whole := j.file
	if j.file, err = os.Open(path); err != nil { // nothing can be written to it, nor cut off
		t.Fatal(err)
	}
	if _, err := j.Append(e); err == nil {
		t.Error("it was appended")
	}
	j.file.Close()
	j.file = whole
	if _, err := j.Append(e); err == nil || !strings.Contains(err.Error(), "could not be taken back") {
		t.Errorf("the next append: %v", err)
	}
}
