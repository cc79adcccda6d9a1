package postgres

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Memory is how many bytes of memory there are for what this process starts: those of the
// machine, or what its control groups leave of them.
func Memory() int64 {
	total := int64(1 << 30) // where the kernel does not tell
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		total = int64(info.Totalram) * int64(info.Unit)
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return total // there are none
	}
	return min(total, memoryLimit("/sys/fs/cgroup", groups))
}

// memoryLimit is the least limit of the control groups that /proc/self/cgroup names, and
// of those above them, in bytes; root is where their tree is mounted. It knows both
// versions of them (man 7 cgroups).
func memoryLimit(root string, groups []byte) int64 {
	least := int64(math.MaxInt64)
	lines := bufio.NewScanner(bytes.NewReader(groups))
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), ":", 3)
		if len(fields) != 3 {
			continue
		}
		tree, file := root, "memory.max"
		switch controllers := strings.Split(fields[1], ","); {
		case slices.Contains(controllers, "memory"):
			tree, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		case fields[0] != "0":
			continue
		}
		for at := filepath.Clean("/" + fields[2]); ; at = filepath.Dir(at) {
			// What is not there, or "max", limits nothing.
			if text, err := os.ReadFile(filepath.Join(tree, at, file)); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
					least = min(least, n)
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}
