"""Collections made anew from the store, beside the live ones: `scrapy collections recreate`."""
