package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/check"
	"comeback/recovery/room"
	"comeback/storage"
)

// copyWithin bounds how long a copy may take to tell of itself.
const copyWithin = time.Minute

// gatherCopy looks at a copy beside its backups.
func (a *app) gatherCopy(ctx context.Context, b *book, c recovery.Copy, canary bool) check.Copy {
	ctx, cancel := context.WithTimeout(ctx, copyWithin)
	defer cancel()
	seen := check.Copy{Copy: c}
	for _, field := range []*string{&seen.URL, &seen.Region, &seen.Endpoint, &seen.Copy.Account} {
		if v, err := b.secrets.Expand(*field); err == nil {
			*field = v
		}
	}
	store, err := opener(b.secrets)(ctx, c)
	if err != nil {
		seen.Err = err
		return seen
	}
	if id, ok := storage.As[storage.Identifier](store); ok {
		seen.Who, seen.Account, _ = id.Identity(ctx) // who it is only adds to the evidence
	}
	placeOf(ctx, &seen)
	if err := a.gatherKnown(ctx, &seen, store, b.Runbook, knownWithin); err != nil {
		seen.Err = err
		return seen
	}
	begun, err := backup.Unfinished(ctx, store)
	if err != nil {
		seen.Err = err
		return seen
	}
	for _, b := range begun {
		seen.Unfinished = append(seen.Unfinished, check.Unfinished{Component: b.Component, Mark: b.Mark, Prefix: b.Prefix, Last: b.Last})
	}
	seen.Skew, _ = a.skew(ctx, store) // nothing is said of a clock that does not tell its time
	if v, ok := storage.As[storage.Versioner](store); ok {
		if versioning, err := v.Versioning(ctx, ""); err == nil {
			seen.Versioning = &versioning
		}
	}
	if l, ok := storage.As[storage.Locker](store); ok {
		if locking, err := l.Locking(ctx); err != nil {
			seen.LockErr = err
		} else {
			seen.Locking = &locking
		}
	}
	signature, errSigned := b.signature()
	k := backup.Keeping{System: b.System, Text: b.bytes, Signature: signature, At: a.now(), Changed: changed(b.path)}
	if canary {
		seen.Canary = check.Canary(ctx, store, a.now())
		if !inCopy(b.path) { // as backups do: where others take these, nothing else brings it there
			seen.RunbookErr = errors.Join(k.Keep(ctx, store), errSigned)
		}
	}
	all, err := backup.Runbooks(ctx, store, b.System)
	if seen.NoRunbook = err == nil && len(all) == 0; seen.RunbookErr == nil {
		seen.RunbookErr = err
	}
	seen.HoldsRunbook = slices.ContainsFunc(all, func(r backup.Runbook) bool { return r.SHA256 == b.source.SHA256 })
	if other, ok := k.Other(all); ok && !inCopy(b.path) {
		seen.OtherRunbook, seen.OtherSince = other.Key, other.At
	}
	return seen
}

// skew is how far the clock of a copy is ahead of this host's; nil where it has none.
func (a *app) skew(ctx context.Context, store storage.Store) (*time.Duration, error) {
	clock, ok := storage.As[storage.Clock](store)
	if !ok {
		return nil, nil
	}
	before := a.now()
	t, err := clock.Now(ctx)
	if err != nil {
		return nil, err
	}
	skew := t.Sub(before.Add(a.now().Sub(before) / 2))
	if a.skewed != nil {
		skew = a.skewed(skew)
	}
	return &skew, nil
}

// changed is when a runbook of this host was changed last; zero where that is not known.
func changed(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// The file systems that lie elsewhere, by the kernel's numbers.
var farAway = map[int64]string{0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB", 0x65735546: "FUSE", 0x01021997: "9P", 0x00c36400: "Ceph"}

// placeOf says what kind of place a copy is, and what fails together with it. Of a
// bucket that is its owner's account where the service holds it to the one that the
// runbook names: AWS does, and refuses every other.
func placeOf(ctx context.Context, seen *check.Copy) {
	u, err := url.Parse(seen.URL)
	if err != nil {
		return
	}
	if u.Scheme == "s3" {
		seen.Medium, seen.Provider = "a bucket", "AWS"
		if e, err := url.Parse(seen.Endpoint); seen.Endpoint != "" && !(err == nil && ofAWS(e.Hostname())) {
			seen.Provider = seen.Endpoint
			if err == nil && e.Host != "" {
				seen.Provider, seen.Here = e.Host, onThisHost(ctx, e.Hostname())
			}
		} else if seen.Copy.Account != "" {
			seen.Domain = "AWS, account " + seen.Copy.Account
		}
		return
	}
	seen.Medium, seen.Here = "a directory", true
	var fs syscall.Statfs_t
	if syscall.Statfs(u.Path, &fs) == nil {
		if name := farAway[int64(uint32(fs.Type))]; name != "" {
			seen.Here, seen.Domain = false, name+" at "+u.Path
			return
		}
	}
	if _, dev, err := room.Free(u.Path); err == nil {
		host, err := os.Hostname()
		if err != nil {
			host = "this host"
		}
		seen.Domain = fmt.Sprintf("disk %d:%d of %s", dev>>8&0xfff, dev&0xff, host)
	}
}

// ofAWS reports whether a host is one of AWS.
func ofAWS(host string) bool {
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// onThisHost reports whether a name leads to an address of this host. One that leads
// nowhere is no evidence of that.
func onThisHost(ctx context.Context, host string) bool {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(addresses, func(a netip.Addr) bool {
		a = a.Unmap().WithZone("")
		return a.IsLoopback() || slices.ContainsFunc(own, func(o net.Addr) bool {
			p, err := netip.ParsePrefix(o.String())
			return err == nil && p.Addr().Unmap().WithZone("") == a
		})
	})
}

// besideLive finds the copies that lie on a disk that holds live data.
func besideLive(b *book, e *check.Evidence) {
	var clusters []string
	for _, s := range e.Servers {
		if s.Free >= 0 { // its directory is this host's
			clusters = append(clusters, s.DataDirectory)
		}
	}
	live := liveDevices(b, clusters)
	for i := range e.Copies {
		if _, device, ok := directoryOf(e.Copies[i].URL); ok && e.Copies[i].Here && live[device] {
			e.Copies[i].Beside = true
		}
	}
}
