package exchange

import (
	"fmt"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/ledger"
)

// Identity is which file or directory something is.
type Identity = recovery.FileIdentity

// Identify reads the identity of what stands at a path itself, not of what a
// symbolic link there leads to. Its error is fs.ErrNotExist where nothing does.
func Identify(path string) (Identity, error) {
	st, err := statx(path)
	if err != nil {
		return Identity{}, err
	}
	return identityOf(st), nil
}

func identityOf(st unix.Statx_t) Identity {
	id := Identity{Device: unix.Mkdev(st.Dev_major, st.Dev_minor), Inode: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.Born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	if id.Born == 0 {
		id.Boot = ledger.Boot()
	}
	return id
}

func statx(path string) (unix.Statx_t, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_TYPE|unix.STATX_BTIME|unix.STATX_MNT_ID, &st)
	if err != nil {
		return st, fmt.Errorf("look at %s: %w", path, err)
	}
	return st, nil
}
