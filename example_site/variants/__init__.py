"""Settings modules of scenarios that need other routers, databases or apps than the site itself."""
