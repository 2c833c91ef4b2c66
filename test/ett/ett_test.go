package ett

import "testing"

// The cases of the tool, all with one installation. DIR-12, DIR-14, DIR-15, DIR-16, DIR-18, DIR-19, DIR-20, DIR-21,
// DIR-22, DIR-24, DIR-25, DIR-26, DIR-27, DIR-28, DIR-31, DIR-32, DIR-34, DIR-35, DIR-41, DIR-50, DIR-51.
func TestCases(t *testing.T) {
	x := newTool(t)
	newSUT(t, x)
	t.Run("Receive", func(t *testing.T) { received(t, x) })
	t.Run("Notify", func(t *testing.T) { notified(t, x) })
	t.Run("Edge", func(t *testing.T) { edged(t, x) })
	t.Run("Send", func(t *testing.T) { checked(t, x) })
}
