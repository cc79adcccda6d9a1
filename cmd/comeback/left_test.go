package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"comeback/recovery"
)

// hangsUp is a terminal's end that goes away with the first line that it is given.
type hangsUp struct {
	mu   sync.Mutex
	text bytes.Buffer
	up   context.CancelCauseFunc
}

func (h *hangsUp) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up(errHangUp)
	return h.text.Write(b)
}

// A run that is left with --json goes on, and that is told beside its events.
func TestRehearse_jsonLeft(t *testing.T) {
	r := newRig(t)
	book := filesBook(t, "\n## Wait\n\n```sh\n# run: a while\n# in: both\n# timeout: 5m\nexec sleep 300\n```\n")
	ctx, up := context.WithCancelCause(t.Context())
	out, said := &hangsUp{up: up}, &bytes.Buffer{}
	if code := r.app(out, said).run(ctx, []string{"rehearse", book, "--json", "--to", "pages.tar"}); code != recovery.NotEnded || !strings.Contains(said.String(), "goes on without this terminal") {
		t.Errorf("exit %d\n%s", code, said)
	}
	for line := range strings.Lines(out.text.String()) {
		var e recovery.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	for _, what := range [][]string{{"show"}, {"sign", "--key", lockedKey(t)}, {"file"}, {"verify"}, {"review", "--accept", "none"}} {
		args := append([]string{"report", what[0], filepath.Base(r.only(t))}, what[1:]...)
		r.run(t.Context(), args...).has(t, recovery.NotEnded, "has not ended")
	}
	r.run(t.Context(), "stop", filepath.Base(r.only(t)), "--reason", "enough").has(t, recovery.CameBack, "INTERRUPTED: stopped: enough")
}
