package walgtest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pierrec/lz4/v4"
)

// Main makes a test's program stand in for WAL-G where it is started under that name. A
// TestMain calls it first.
func Main() {
	if filepath.Base(os.Args[0]) != "wal-g" {
		return
	}
	code := 0
	if err := standIn(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "ERROR: %s %v\n", time.Now().Format("2006/01/02 15:04:05.000000"), err)
		code = 1
		if errors.Is(err, errNoArchive) {
			code = 74
		}
	}
	syscall.Exit(code) // not os.Exit: under the race detector it waits for a second
}

// keeper is one command of the stand-in.
type keeper struct {
	settings map[string]string
	args     []string
	flags    map[string]string
}

func standIn(args []string) error {
	k := keeper{settings: map[string]string{}, flags: map[string]string{}}
	for i := 0; i < len(args); i++ {
		name, is := strings.CutPrefix(args[i], "--")
		if !is {
			k.args = append(k.args, args[i])
			continue
		}
		name, value, has := strings.Cut(name, "=")
		if !has && name == "config" && i+1 < len(args) {
			i++
			value = args[i]
		}
		k.flags[name] = value
	}
	if text, err := os.ReadFile(k.flags["config"]); err == nil {
		if err := json.Unmarshal(text, &k.settings); err != nil {
			return says("Failed to parse config file %s. %w.", k.flags["config"], err)
		}
	}
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); value != "" && (strings.HasPrefix(name, "WALG_") || strings.HasPrefix(name, "PG")) {
			k.settings[name] = value
		}
	}
	if k.settings["WALG_FILE_PREFIX"] == "" {
		return says("Failed to find any configured storage")
	}
	commands := map[string]func() error{"wal-push": k.walPush, "wal-fetch": k.walFetch, "wal-show": k.walShow,
		"backup-push": k.backupPush, "backup-list": k.backupList, "backup-fetch": k.backupFetch, "st": k.storage}
	if len(k.args) == 0 || commands[k.args[0]] == nil {
		return errors.New("unknown command")
	}
	command := commands[k.args[0]]
	k.args = k.args[1:]
	return command()
}

// says is an error in WAL-G's own words.
func says(format string, args ...any) error { return fmt.Errorf(format, args...) }

// path is where an object lies.
func (k *keeper) path(key string) string { return filepath.Join(k.settings["WALG_FILE_PREFIX"], key) }

// list gives the names in a folder, which it makes as WAL-G does.
func (k *keeper) list(folder string) ([]fs.DirEntry, error) {
	if err := os.MkdirAll(k.path(folder), 0o755); err != nil {
		return nil, err
	}
	all, err := os.ReadDir(k.path(folder))
	if err != nil {
		return nil, fmt.Errorf("unable to list FS folder %q: %w", k.path(folder), err)
	}
	return all, nil
}

// put stores an object.
func (k *keeper) put(key string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(k.path(key)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(k.path(key), body, 0o644)
}

// putJSON stores what describes a backup, which is neither packed nor encrypted.
func (k *keeper) putJSON(key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return k.put(key, b)
}

// getJSON reads it.
func (k *keeper) getJSON(key string, v any) error {
	b, err := os.ReadFile(k.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("object '%s' not found in storage", key)
	}
	if err != nil {
		return fmt.Errorf("unable to read file %v: %w", k.path(key), err)
	}
	return json.Unmarshal(b, v)
}

// pack compresses and, where there is a key, encrypts.
func (k *keeper) pack(body []byte) ([]byte, error) {
	var packed bytes.Buffer
	z := lz4.NewWriter(&packed)
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	seal, err := k.seal()
	if err != nil || seal == nil {
		return packed.Bytes(), err
	}
	nonce := make([]byte, seal.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return seal.Seal(nonce, nonce, packed.Bytes(), nil), nil
}

// unpack is its reverse.
func (k *keeper) unpack(body []byte) ([]byte, error) {
	seal, err := k.seal()
	if err != nil {
		return nil, err
	}
	if seal != nil {
		n := min(len(body), seal.NonceSize())
		if body, err = seal.Open(nil, body[:n], body[n:], nil); err != nil {
			return nil, errors.New("failed to init decrypt reader: openpgp: incorrect key")
		}
	}
	return io.ReadAll(lz4.NewReader(bytes.NewReader(body)))
}

// seal is the cipher of the key that is set; nil where none is.
func (k *keeper) seal() (cipher.AEAD, error) {
	armored := strings.TrimSpace(k.settings["WALG_PGP_KEY"])
	if armored == "" {
		return nil, nil
	}
	key := sha256.Sum256([]byte(armored))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// errNoArchive is what wal-fetch ends with 74 for.
var errNoArchive = errors.New("does not exist")

const (
	logFolder    = "wal_005/"
	backupFolder = "basebackups_005/"
	packedSuffix = ".lz4"
)

func (k *keeper) walPush() error {
	if len(k.args) != 1 {
		return errors.New("accepts 1 arg(s)")
	}
	body, err := os.ReadFile(k.args[0])
	if err == nil {
		body, err = k.pack(body)
	}
	if err != nil {
		return err
	}
	return k.put(logFolder+filepath.Base(k.args[0])+packedSuffix, body)
}

func (k *keeper) walFetch() error {
	if len(k.args) != 2 {
		return errors.New("accepts 2 arg(s)")
	}
	out, err := os.OpenFile(k.args[1], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer out.Close()
	path := k.path(logFolder + k.args[0] + packedSuffix)
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(os.Remove(k.args[1]), says("Archive '%s' %w.", k.args[0], errNoArchive))
	}
	if err != nil {
		return errors.Join(os.Remove(k.args[1]), fmt.Errorf("unable to read file %v: %w", path, err))
	}
	if body, err = k.unpack(body); err != nil {
		return err
	}
	_, err = out.Write(body)
	return err
}

// shown is a timeline as wal-show tells it.
type shown struct {
	ID      uint32   `json:"id"`
	Parent  uint32   `json:"parent_id"`
	Switch  uint64   `json:"switch_point_lsn"`
	First   string   `json:"start_segment"`
	Last    string   `json:"end_segment"`
	Count   int      `json:"segments_count"`
	Missing []string `json:"missing_segments"`
	Range   uint64   `json:"segment_range_size"`
	Status  string   `json:"status"`
}

func (k *keeper) walShow() error {
	all, err := k.list(logFolder)
	if err != nil {
		return says("Failed to get the WAL folder filenames %w", err)
	}
	perLog := uint64(0x1000 / k.megabytes())
	number := func(name string) uint64 {
		high, _ := strconv.ParseUint(name[8:16], 16, 32)
		low, _ := strconv.ParseUint(name[16:], 16, 32)
		return high*perLog + low
	}
	timelines := []*shown{}
	there := map[string]bool{}
	for _, e := range all { // in the order of their names
		name := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name()))
		if len(name) != 24 {
			continue
		}
		id, err := strconv.ParseUint(name[:8], 16, 32)
		if err != nil {
			continue
		}
		if n := len(timelines); n == 0 || timelines[n-1].ID != uint32(id) {
			timelines = append(timelines, &shown{ID: uint32(id), First: name, Missing: []string{}, Status: "OK"})
		}
		t := timelines[len(timelines)-1]
		t.Last, t.Count, there[name] = name, t.Count+1, true
	}
	for _, t := range timelines {
		t.Range = number(t.Last) - number(t.First) + 1
		for n := number(t.Last); n > number(t.First); n-- {
			if name := fmt.Sprintf("%08X%08X%08X", t.ID, n/perLog, n%perLog); !there[name] {
				t.Missing, t.Status = append(t.Missing, name), "LOST_SEGMENTS"
			}
		}
		k.history(t)
	}
	return json.NewEncoder(os.Stdout).Encode(timelines)
}

// history tells where a timeline branched off, if its history is there.
func (k *keeper) history(t *shown) {
	body, err := os.ReadFile(k.path(fmt.Sprintf("%s%08X.history%s", logFolder, t.ID, packedSuffix)))
	if err == nil {
		body, err = k.unpack(body)
	}
	if err != nil {
		return
	}
	for line := range strings.Lines(string(body)) {
		var parent, high, low uint32
		if n, _ := fmt.Sscanf(line, "%d\t%X/%X", &parent, &high, &low); n == 3 {
			t.Parent, t.Switch = parent, uint64(high)<<32|uint64(low)
		}
	}
}

// megabytes is the size of segments.
func (k *keeper) megabytes() int {
	if n, err := strconv.Atoi(k.settings["WALG_PG_WAL_SIZE"]); err == nil {
		return n
	}
	return 16
}

// storage shows an object, or what lies in a folder.
func (k *keeper) storage() error {
	if len(k.args) != 2 || k.args[0] != "cat" && k.args[0] != "ls" {
		return errors.New("unknown command")
	}
	if k.args[0] == "ls" {
		all, err := k.list(k.args[1])
		for _, e := range all {
			fmt.Printf("obj %s\n", e.Name())
		}
		return err
	}
	body, err := os.ReadFile(k.path(k.args[1]))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("download the file: object '%s' not found in storage", k.path(k.args[1]))
	}
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(body)
	return err
}
