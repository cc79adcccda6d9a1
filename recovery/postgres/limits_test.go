package postgres

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// The least limit of a control group and of those above it counts, in both versions.
func TestMemoryLimit(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"system.slice/memory.max":                       "4294967296\n",
		"system.slice/a.service/memory.max":             "max\n",
		"system.slice/b.service/memory.max":             "1073741824\n",
		"system.slice/c.service/memory.max":             "8589934592\n",
		"memory/docker/0123/memory.limit_in_bytes":      "536870912\n",
		"memory/memory.limit_in_bytes":                  "9223372036854771712\n",
		"cpu/docker/0123/memory.limit_in_bytes":         "1\n",
		"system.slice/no number.service/memory.max":     "many\n",
		"user.slice/nothing but a directory/memory.low": "1\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for groups, want := range map[string]int64{
		"0::/system.slice/a.service\n":                              4 << 30,
		"0::/system.slice/b.service\n":                              1 << 30,
		"0::/system.slice/c.service\n":                              4 << 30,
		"0::/system.slice/no number.service\n":                      4 << 30,
		"0::/\n":                                                    math.MaxInt64,
		"0::/user.slice/nothing but a directory\n":                  math.MaxInt64,
		"5:cpu,cpuacct:/docker/0123\n4:memory:/docker/0123\n0::/\n": 512 << 20,
		"4:memory:/somewhere else\n":                                9223372036854771712,
		"nonsense\n":                                                math.MaxInt64,
		"":                                                          math.MaxInt64,
	} {
		if got := memoryLimit(root, []byte(groups)); got != want {
			t.Errorf("%q: %d, want %d", groups, got, want)
		}
	}
}

// Buffers grow with the memory, within limits.
func TestTuneSettings_buffers(t *testing.T) {
	for memory, want := range map[int64]string{0: "128MB", 2 << 30: "128MB", 8 << 30: "256MB", 24 << 30: "768MB", 512 << 30: "1024MB"} {
		if got := TuneSettings(2, memory)["shared_buffers"]; got != want {
			t.Errorf("%d bytes: %s, want %s", memory, got, want)
		}
	}
}
