package loop

// Signal puts a token into a channel of capacity 1, unless one is there.
func Signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// IsClosed says whether a channel on which nothing is ever sent is closed. A nil channel is not.
func IsClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
