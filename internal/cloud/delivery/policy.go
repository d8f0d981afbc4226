package delivery

import (
	"fmt"
	"math"
	"time"
)

// Policy says how often and when a message is tried again (SNS Developer Guide,
// "Creating HTTP/S delivery policies"). Times are in seconds.
type Policy struct {
	MinDelayTarget     int    `json:"minDelayTarget"`     // 1 to MaxDelayTarget
	MaxDelayTarget     int    `json:"maxDelayTarget"`     // up to 3,600
	NumRetries         int    `json:"numRetries"`         // 0 to 100, all phases together
	NumNoDelayRetries  int    `json:"numNoDelayRetries"`  // at once
	NumMinDelayRetries int    `json:"numMinDelayRetries"` // after MinDelayTarget
	NumMaxDelayRetries int    `json:"numMaxDelayRetries"` // after MaxDelayTarget, at the end
	BackoffFunction    string `json:"backoffFunction"`    // between them: linear, arithmetic, geometric, exponential
}

// DefaultPolicy is that of SNS: three more attempts, 20 seconds apart.
var DefaultPolicy = Policy{MinDelayTarget: 20, MaxDelayTarget: 20, NumRetries: 3, BackoffFunction: "linear"}

// Check holds a policy to SNS's rules; the error names the member.
func (p Policy) Check() error {
	switch {
	case p.MaxDelayTarget < 1 || p.MaxDelayTarget > 3600:
		return fmt.Errorf("maxDelayTarget must be between 1 and 3600")
	case p.MinDelayTarget < 1 || p.MinDelayTarget > p.MaxDelayTarget:
		return fmt.Errorf("minDelayTarget must be between 1 and maxDelayTarget")
	case p.NumRetries < 0 || p.NumRetries > 100:
		return fmt.Errorf("numRetries must be between 0 and 100")
	case p.NumNoDelayRetries < 0 || p.NumMinDelayRetries < 0 || p.NumMaxDelayRetries < 0 || p.backoffs() < 0:
		return fmt.Errorf("numNoDelayRetries, numMinDelayRetries and numMaxDelayRetries must be 0 or more, and numRetries at least their sum")
	}
	switch p.BackoffFunction {
	case "linear", "arithmetic", "geometric", "exponential":
		return nil
	}
	return fmt.Errorf("backoffFunction must be one of arithmetic, exponential, geometric or linear")
}

// backoffs is the number of attempts of the phase between the minimum and the
// maximum.
func (p Policy) backoffs() int {
	return p.NumRetries - p.NumNoDelayRetries - p.NumMinDelayRetries - p.NumMaxDelayRetries
}

// After says how long to wait after a number of failed attempts; more is false
// if there is to be no other.
func (p Policy) After(attempts int) (wait time.Duration, more bool) {
	retry := attempts // the number of the next retry, from 1
	low, high := time.Duration(p.MinDelayTarget)*time.Second, time.Duration(p.MaxDelayTarget)*time.Second
	switch {
	case retry > p.NumRetries:
		return 0, false
	case retry <= p.NumNoDelayRetries:
		return 0, true
	case retry <= p.NumNoDelayRetries+p.NumMinDelayRetries:
		return low, true
	case retry > p.NumRetries-p.NumMaxDelayRetries:
		return high, true
	}
	n := p.backoffs()
	if n <= 1 || low == high {
		return low, true
	}
	step := retry - p.NumNoDelayRetries - p.NumMinDelayRetries - 1 // 0 to n-1
	return low + time.Duration(p.curve(float64(step)/float64(n-1))*float64(high-low)), true
}

// curve takes the way through the phase, 0 to 1, to the way from the minimum to
// the maximum. SNS names its functions and publishes no formula; these rise in
// the order of its figure, the linear one fastest at first.
func (p Policy) curve(x float64) float64 {
	switch p.BackoffFunction {
	case "arithmetic":
		return x * (x + 1) / 2
	case "geometric":
		return math.Pow(x, 2)
	case "exponential":
		return math.Expm1(5*x) / math.Expm1(5)
	}
	return x
}
