package rescue

// SetLiveIdle shortens how long a transaction with live may wait for us, until the function
// that it gives is called.
func SetLiveIdle(limit string) func() {
	was := liveIdle
	liveIdle = limit
	return func() { liveIdle = was }
}
