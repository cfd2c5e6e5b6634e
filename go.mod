module github.com/grapnel-dev/grapnel

go 1.26

require github.com/google/uuid v1.6.0 // indirect
