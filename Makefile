# Everything is in ./run, which works without make too.
.PHONY: help install demo test lint lock
help install demo test lint lock:
	@./run $@ $(ARGS)
