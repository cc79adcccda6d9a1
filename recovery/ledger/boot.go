package ledger

import (
	"os"
	"strings"
)

// Boot names this boot of the machine; it is empty where the kernel does not
// tell.
func Boot() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // then nothing counts as written in this boot
	}
	return strings.TrimSpace(string(id))
}
