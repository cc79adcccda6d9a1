package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hiddeco/sshsig"

	"comeback/recovery"
)

// A review is a second person's signature over SHA256SUMS, in a file beside the
// first one's, in a namespace of its own. It accepts every exception of the report:
// what is not accepted is not signed. ssh-keygen verifies it as it does the first.
const reviewFiles = "SHA256SUMS.review-*.sig"

// mostReviews bounds how many people review one report.
const mostReviews = 99

func reviewFile(n int) string { return fmt.Sprintf("SHA256SUMS.review-%d.sig", n) }

// Review is a review, as far as it can be told apart.
type Review struct {
	Signature
	// Principal is the reviewer's name in the reader's list, or empty: unknown.
	Principal string `json:"principal,omitempty"`
}

// String says who reviewed.
func (r Review) String() string {
	if r.Principal == "" {
		return fmt.Sprintf("reviewed by an unknown key, %s %s", r.Type, r.Fingerprint)
	}
	return "reviewed by " + r.Principal
}

// SignReview adds a review to a report that is signed and intact. Accepted are the
// numbers of the exceptions that the reviewer accepts: all that the report has, and
// no other. The key must be another than the report's, and than that of every review
// that is there.
func SignReview(ctx context.Context, dir string, accepted []int, s Signer) (Review, error) {
	v, err := Verify(dir, VerifyOptions{})
	if err != nil {
		return Review{}, err
	}
	if err := acceptsAll(v.Report.Exceptions, accepted); err != nil {
		return Review{}, err
	}
	own := describe(s.PublicKey()).Fingerprint
	if own == v.Signature.Fingerprint {
		return Review{}, recovery.Errorf("let a second person review it, with a key of their own: --key FILE", "the report is signed with this key, %s", own).WithExit(recovery.Refused)
	}
	if slices.ContainsFunc(v.Reviews, func(r Review) bool { return r.Fingerprint == own }) {
		return Review{}, recovery.Errorf("nothing is left to do", "the report has been reviewed with this key, %s", own).WithExit(recovery.Refused)
	}
	sums, err := readDocument(dir, SumsFile)
	if err != nil {
		return Review{}, err
	}
	sig, err := sign(ctx, sums, s, ReviewNamespace, SumsFile)
	if err != nil {
		return Review{}, err
	}
	name, err := addReview(dir, sshsig.Armor(sig))
	if err != nil {
		return Review{}, err
	}
	return Review{Signature: describeSignature(sig, name)}, nil
}

// AdoptReview puts a review that was made elsewhere beside a report, if it is one of
// this very report by somebody who has not reviewed it yet; it says whether it did.
// The report must verify.
func AdoptReview(dir string, armored []byte) (bool, error) {
	sig, err := parseSignature(armored)
	if err != nil {
		return false, nil // whatever it is, it is no review
	}
	for n := 1; n <= mostReviews; n++ {
		if have, err := readDocument(dir, reviewFile(n)); err == nil && bytes.Equal(have, armored) {
			return false, nil
		}
	}
	sums, err := readDocument(dir, SumsFile)
	if err != nil {
		return false, err
	}
	if checkSignature(sig, sums, ReviewNamespace) != nil {
		return false, nil
	}
	v, err := Verify(dir, VerifyOptions{})
	if err != nil {
		return false, err
	}
	by := describe(sig.PublicKey).Fingerprint
	if by == v.Signature.Fingerprint || slices.ContainsFunc(v.Reviews, func(r Review) bool { return r.Fingerprint == by }) {
		return false, nil
	}
	_, err = addReview(dir, armored)
	return err == nil, err
}

// addReview keeps a review under the next name that is free.
func addReview(dir string, armored []byte) (name string, err error) {
	for n := 1; n <= mostReviews; n++ {
		name := reviewFile(n)
		err := createFile(dir, name, armored)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		return name, err
	}
	return "", recovery.Errorf("it needs no more", "the report has %d reviews", mostReviews)
}

// acceptsAll holds what was accepted against the exceptions of a report.
func acceptsAll(exceptions []Exception, accepted []int) error {
	for _, n := range accepted {
		if !slices.ContainsFunc(exceptions, func(e Exception) bool { return e.Number == n }) {
			return recovery.Errorf(fmt.Sprintf("name those of the report, which has %d", len(exceptions)), "the report has no exception %d", n).WithExit(recovery.Usage)
		}
	}
	var open []string
	for _, e := range exceptions {
		if !slices.Contains(accepted, e.Number) {
			open = append(open, strconv.Itoa(e.Number))
		}
	}
	if len(open) > 0 {
		return recovery.Errorf("accept each of them by its number, or leave the report without a review and file what must be done about them",
			"a review accepts every exception; not accepted: %s", strings.Join(open, ", ")).WithExit(recovery.Refused)
	}
	return nil
}

// reviews verifies the reviews beside a report, in the order of their numbers.
// One that the reader's list does not allow is of an unknown reviewer.
func reviews(dir string, sums []byte, signed Verification, o VerifyOptions) ([]Review, error) {
	names, err := filepath.Glob(filepath.Join(dir, reviewFiles))
	if err != nil {
		return nil, fmt.Errorf("list the reviews: %w", err)
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b) // 9 is before 10
		}
		return strings.Compare(a, b)
	})
	var all []Review
	for _, path := range names {
		name := filepath.Base(path)
		sig, err := readSignature(dir, name)
		if err != nil {
			return nil, err
		}
		if err := checkSignature(sig, sums, ReviewNamespace); err != nil {
			return nil, recovery.Errorf("get the directory as it was reviewed; without that file the report is what its signer signed", "%s is not what %s signs: %w", SumsFile, name, err)
		}
		r := Review{Signature: describeSignature(sig, name)}
		if o.AllowedSigners != nil {
			// Whom the list does not allow stays unknown, as a signer does without a list.
			if r.Principal, err = o.AllowedSigners.find(sig.PublicKey, "", ReviewNamespace, o.Now); err != nil {
				r.Principal = ""
			}
		}
		if r.Fingerprint == signed.Signature.Fingerprint || r.Principal != "" && r.Principal == signed.Principal {
			return nil, recovery.Errorf("remove the file; a second person reviews", "%s is by the person who signed the report", name)
		}
		all = append(all, r)
	}
	return all, nil
}
