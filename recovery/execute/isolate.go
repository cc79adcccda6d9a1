package execute

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"comeback/recovery"

	"golang.org/x/sys/unix"
)

// isolate puts cmd into a network namespace with loopback only. As root the
// calling thread, which must be locked and is spoilt afterwards, moves into the
// namespace and brings its loopback up; an unprivileged user gets a user
// namespace beside it, in which loopback stays down.
func isolate(cmd *exec.Cmd) error {
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("%w: %w", recovery.ErrNoIsolation, err)
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("%w: bring loopback up: %w", recovery.ErrNoIsolation, err)
	}
	return nil
}

// Isolation reports whether this host gives a network namespace, by trying.
func Isolation() error {
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if err := runOnOwnThread(cmd, true); err != nil {
		return fmt.Errorf("%w: %w", recovery.ErrNoIsolation, err)
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(request))); errno != 0 {
		return errno
	}
	return nil
}
