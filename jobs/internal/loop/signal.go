package loop

func IsClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Signal puts a token into a channel of capacity 1, unless one is there.
func Signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
