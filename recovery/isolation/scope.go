package isolation

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The versions of Landlock that matter here: from which on a domain leaves
// renaming as it is, and from which on it bounds signals.
const (
	landlockRefers  = 2 // Linux 5.19
	landlockSignals = 6 // Linux 6.12
)

// scope puts the calling thread, and what it executes, into a Landlock domain:
// it can look into no process outside of it, mount nothing, and, where the
// kernel knows how to, signal no process outside of it. That is what a program
// without a process namespace needs, where production's runs as the same user.
//
// A kernel without Landlock leaves these to the users alone.
func scope() error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || version < landlockRefers {
		return nil
	}
	// A domain forbids what it does not name only for moving files between
	// directories, so that is named and allowed everywhere.
	attr := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_REFER}
	if version >= landlockSignals {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL
	}
	// The quiet fields came last; a kernel that does not know them takes them
	// for zero only if they are left out.
	size := unsafe.Offsetof(attr.Quiet_access_fs)
	if version < landlockSignals {
		size = unsafe.Offsetof(attr.Handled_access_net)
	}
	ruleset, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return fmt.Errorf("make a Landlock domain: %w", errno)
	}
	defer unix.Close(int(ruleset))
	root, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a Landlock domain: %w", err)
	}
	defer unix.Close(root)
	everywhere := unix.LandlockPathBeneathAttr{Allowed_access: unix.LANDLOCK_ACCESS_FS_REFER, Parent_fd: int32(root)}
	_, _, errno = unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, ruleset, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&everywhere)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("allow renaming in a Landlock domain: %w", errno)
	}
	_, _, errno = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0)
	if errno != 0 && !errors.Is(errno, unix.E2BIG) { // as many domains as there can be are around us already
		return fmt.Errorf("enter a Landlock domain: %w", errno)
	}
	return nil
}
