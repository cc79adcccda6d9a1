package live

import "context"

// Complete fills in New from what the server holds: the database that this run has
// loaded beside, or the one that has taken the live name since. Where there is
// neither it stays zero.
func (d Database) Complete(ctx context.Context) (Database, error) {
	if d.New != 0 {
		return d, nil
	}
	s, err := d.open(ctx)
	if err != nil {
		return d, err
	}
	defer s.close(ctx)
	made, there, err := s.named(ctx, s.beside)
	if err != nil {
		return d, err
	}
	if there && (isLoaded(s.Run, made.Comment) || made.Comment == markLoading(s.Run) || made.Comment == markOpened(s.Run)) {
		d.New = made.OID
		return d, nil
	}
	was, there, err := s.find(ctx, s.Was)
	if err != nil || !there || was.Name != s.aside {
		return d, err
	}
	now, there, err := s.named(ctx, s.name)
	if there {
		d.New = now.OID
	}
	return d, err
}

// Closed reports whether the database that is live now lets nobody in.
func (d Database) Closed(ctx context.Context) (bool, error) {
	s, err := d.open(ctx)
	if err != nil {
		return false, err
	}
	defer s.close(ctx)
	at, was, next, err := s.side(ctx)
	if err != nil {
		return false, err
	}
	if at == After {
		was = next
	}
	return !was.Open, nil
}
