package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/getsentry/sentry-go"
)

func charge(order int) error { return fmt.Errorf("order %d is not charged: %w", order, errors.New("connection reset")) }

func main() {
	if err := sentry.Init(sentry.ClientOptions{Release: "shop@1.2", Environment: "prod", ServerName: "web-1", AttachStacktrace: true}); err != nil {
		panic(err)
	}
	sentry.ConfigureScope(func(scope *sentry.Scope) { scope.SetTag("region", "eu"); scope.SetTransaction("POST /checkout") })
	sentry.CaptureException(charge(17))
	sentry.CaptureMessage("only a message")
	func() {
		defer sentry.Recover()
		var m map[string]int
		m["a"] = 1
	}()
	sentry.Flush(5 * time.Second)
}
