// Initdb stands in for PostgreSQL's initdb in the tests, which make hundreds of clusters:
// the first of its kind is made by the real program, the others are copies of that with an
// identity of their own. PostgreSQL's own tests do the same, without the identity.
//
// It lies in a directory of links to the programs of one PostgreSQL, which
// .ci/in-memory makes, beside the directory "templates"; what is not a
// plain new cluster is left to the real program.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "initdb:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server, err := filepath.EvalSymlinks(filepath.Join(filepath.Dir(self), "postgres"))
	if err != nil {
		return err
	}
	program := filepath.Join(filepath.Dir(server), "initdb")
	data, kind, plain := ask(args)
	if !plain {
		return syscall.Exec(program, append([]string{program}, args...), os.Environ())
	}
	kind = fmt.Sprintf("%s\n%d\n%s\n%s", server, os.Geteuid(), kind, os.Getenv("LC_ALL"))
	template := filepath.Join(filepath.Dir(filepath.Dir(self)), "templates", fmt.Sprintf("%x", sha256.Sum256([]byte(kind)))[:16])
	if _, err := os.Stat(template); err == nil {
		if err := copyTree(template, data); err != nil {
			return err
		}
		return identify(data)
	}
	made := exec.Command(program, args...)
	made.Stdout, made.Stderr = os.Stdout, os.Stderr
	if err := made.Run(); err != nil {
		return err
	}
	half := fmt.Sprintf("%s.%d", template, os.Getpid())
	if err := copyTree(data, half); err != nil {
		return err
	}
	if err := os.Rename(half, template); err != nil { // another one was faster
		return os.RemoveAll(half)
	}
	return nil
}

// ask takes apart what initdb is asked for: the directory, the kind of cluster, and
// whether it is a new one that nothing but its arguments decides about.
func ask(args []string) (data, kind string, plain bool) {
	var rest []string
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--no-sync":
			plain = true
		case (arg == "-D" || arg == "--pgdata") && i+1 < len(args):
			i++
			data = args[i]
			continue
		case arg == "-X" || strings.HasPrefix(arg, "--waldir") || strings.HasPrefix(arg, "--pwfile"):
			return "", "", false
		}
		rest = append(rest, args[i])
	}
	if held, err := os.ReadDir(data); err == nil && len(held) > 0 {
		return "", "", false // refused, in initdb's words
	}
	return data, strings.Join(rest, "\n"), plain && data != ""
}

// copyTree copies directories and files with their modes, into a directory that may be
// there already.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		if entry.IsDir() {
			if err := os.Mkdir(target, info.Mode().Perm()); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			return nil
		}
		return copyFile(path, target, info.Mode().Perm())
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Where the identity stands: first in pg_control, and in the long header of the first
// page of a segment of the log (src/include/catalog/pg_control.h, access/xlog_internal.h).
const inSegment = 24

// identify gives a cluster that has never run a system identifier of its own, made as
// PostgreSQL makes it: of the time and the process.
func identify(data string) error {
	now := time.Now()
	id := uint64(now.Unix())<<32 | uint64(now.Nanosecond()/1000)<<12 | uint64(os.Getpid()&0xFFF)
	control := filepath.Join(data, "global", "pg_control")
	b, err := os.ReadFile(control)
	if err != nil {
		return err
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	end := 0 // of what the checksum behind it is of
	for n := 64; n+4 <= len(b) && end == 0; n += 4 {
		if crc32.Checksum(b[:n], table) == binary.NativeEndian.Uint32(b[n:]) {
			end = n
		}
	}
	if end == 0 {
		return fmt.Errorf("%s has no checksum", control)
	}
	binary.NativeEndian.PutUint64(b, id)
	binary.NativeEndian.PutUint32(b[end:], crc32.Checksum(b[:end], table))
	if err := os.WriteFile(control, b, 0o600); err != nil {
		return err
	}
	segments, err := filepath.Glob(filepath.Join(data, "pg_wal", "0000*"))
	if err != nil {
		return err
	}
	for _, segment := range segments {
		f, err := os.OpenFile(segment, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, id), inSegment)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
