package execute_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// Of what a step says without end its log keeps the beginning and the end, and says what is
// left out; the digest is that of the file.
func TestLog_keepsBothEnds(t *testing.T) {
	const keeps = 2000
	for name, lines := range map[string]int{"the beginning has it": 60, "both ends have it": 150, "a little more": 200, "much more": 5000} {
		t.Run(name, func(t *testing.T) {
			largest := int64(0)
			var r *rig
			path := func() string { return filepath.Join(r.dir, recovery.ArtifactsDir, "s.log") }
			talks := kind{"talks", func(_ context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
				for i := range lines {
					e.Meter().Log(fmt.Sprintf("line %04d", i))
					if info, err := os.Stat(path()); err == nil {
						largest = max(largest, info.Size())
					}
				}
				return recovery.Outcome{}, nil
			}}
			r = newRig(t, []recovery.Kind{talks}, func(_ *recovery.Plan, o *execute.Options) { o.KeptOfLog = keeps }, step("s", "talks"))
			s := r.run(t)
			b, err := os.ReadFile(path())
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(b)
			if !slices.Contains(s.Step("s").Outcome.Artifacts, recovery.Artifact{Name: "s.log", Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}) {
				t.Errorf("recorded: %+v", s.Step("s").Outcome.Artifacts)
			}
			all := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
			fits := lines*len("15:04:05.000 line 0000\n") <= 2*keeps
			mark := slices.IndexFunc(all, func(l string) bool { return strings.Contains(l, "left out here") })
			if fits != (mark < 0) || fits && len(all) != lines || len(b) > 2*keeps+200 || largest > 4*keeps+200 {
				t.Fatalf("%d lines, %d bytes, at most %d; what is left out is told in line %d", len(all), len(b), largest, mark)
			}
			for i, text := range all {
				n := i
				switch {
				case i == mark:
					if want := fmt.Sprintf("… %d lines are left out here", lines-len(all)+1); !strings.HasPrefix(text, want) {
						t.Errorf("%q, want %q", text, want)
					}
					continue
				case mark >= 0 && i > mark:
					n = lines - len(all) + i
				}
				if !strings.HasSuffix(text, fmt.Sprintf(" line %04d", n)) {
					t.Fatalf("line %d is %q", i, text)
				}
			}
		})
	}
}

// What is on the screen can be read in the log, too.
func TestLog_isThereWhenShown(t *testing.T) {
	shown := make(chan error)
	var r *rig
	r = newRig(t, []recovery.Kind{kind{"talks", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		e.Meter().Log("the first words")
		select {
		case err := <-shown:
			return recovery.Outcome{}, err
		case <-ctx.Done():
			return recovery.Outcome{}, ctx.Err()
		}
	}}}, func(_ *recovery.Plan, o *execute.Options) {
		o.Unattended = true
		o.Sample = func(s recovery.Sample) {
			if len(s.Lines) == 0 {
				return
			}
			b, err := os.ReadFile(filepath.Join(r.dir, recovery.ArtifactsDir, "s.log"))
			if err == nil && !strings.Contains(string(b), s.Lines[0]) {
				err = fmt.Errorf("the log has %q", b)
			}
			shown <- err
		}
	}, step("s", "talks"))
	if s := r.run(t); s.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
}
