package s3

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"comeback/storage"
)

var (
	_ storage.Locker    = (*store)(nil)
	_ storage.Protector = (*store)(nil)
	_ storage.Prolonger = (*store)(nil)
)

// Locking asks for the bucket's own rule.
func (s *store) Locking(ctx context.Context) (storage.Locking, error) {
	out, err := s.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &s.bucket})
	if err != nil {
		switch code(err) {
		case "ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed":
			return storage.Locking{}, nil
		}
		return storage.Locking{}, s.refusal(ctx, "ask for the locks of", "", err)
	}
	c := out.ObjectLockConfiguration
	if c == nil || c.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		return storage.Locking{}, nil
	}
	l := storage.Locking{Able: true}
	if c.Rule != nil && c.Rule.DefaultRetention != nil {
		r := c.Rule.DefaultRetention
		days := time.Duration(aws.ToInt32(r.Days)) + 365*time.Duration(aws.ToInt32(r.Years))
		l.On, l.Mode, l.For = days > 0, string(r.Mode), days*24*time.Hour
	}
	return l, nil
}

// Retention asks for the lock of one version.
func (s *store) Retention(ctx context.Context, o storage.Object) (storage.Retention, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.key(o.Key), VersionId: optional(o.Version)})
	if err != nil {
		return storage.Retention{}, s.refusal(ctx, "ask for the lock of", o.Key, err)
	}
	r := storage.Retention{Mode: string(out.ObjectLockMode), Hold: out.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn}
	if out.ObjectLockRetainUntilDate != nil {
		r.Until = out.ObjectLockRetainUntilDate.UTC()
		return r, nil
	}
	// Not every service tells it with the object, and not every one tells those
	// that are not locked from those that it does not know.
	told, err := s.client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &s.bucket, Key: s.key(o.Key), VersionId: optional(o.Version)})
	if err != nil {
		switch code(err) {
		case "NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest", "NotImplemented", "MethodNotAllowed":
			return r, nil
		}
		return r, s.refusal(ctx, "ask for the lock of", o.Key, err)
	}
	if told.Retention != nil {
		r.Mode = string(told.Retention.Mode)
		if told.Retention.RetainUntilDate != nil {
			r.Until = told.Retention.RetainUntilDate.UTC()
		}
	}
	return r, nil
}

// Protect locks one version, in governance mode: an account that has filed too much can
// still be tidied by who may lift locks.
func (s *store) Protect(ctx context.Context, o storage.Object, until time.Time) error {
	_, err := s.client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: &s.bucket, Key: s.key(o.Key), VersionId: optional(o.Version),
		Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: aws.Time(until.UTC())}})
	if err != nil {
		return s.refusal(ctx, "lock", o.Key, err)
	}
	return nil
}

// Prolong asks first: no lock is shortened, and one that ends late enough is let alone. Who
// may not ask may lock all the same, and the service shortens none.
func (s *store) Prolong(ctx context.Context, o storage.Object, r storage.Retention) error {
	is, err := s.Retention(ctx, o)
	if err != nil && !errors.Is(err, storage.ErrDenied) {
		return err
	}
	until := r.Until.UTC().Truncate(time.Second)
	if err == nil && !is.Until.Before(until) {
		return nil
	}
	mode := types.ObjectLockRetentionMode(cmp.Or(is.Mode, r.Mode, string(types.ObjectLockRetentionModeGovernance)))
	_, err = s.client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: &s.bucket, Key: s.key(o.Key), VersionId: optional(o.Version),
		Retention: &types.ObjectLockRetention{Mode: mode, RetainUntilDate: aws.Time(until)}})
	if err != nil {
		return s.refusal(ctx, "prolong the lock of", o.Key, err)
	}
	return nil
}

// Destroy deletes one version, not the object behind a delete marker: that a
// lock allows to anybody.
func (s *store) Destroy(ctx context.Context, o storage.Object) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(o.Key), VersionId: optional(o.Version)})
	if err != nil {
		return s.refusal(ctx, "remove", o.Key, err)
	}
	return nil
}
