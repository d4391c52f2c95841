"""DolphinDB's client/server protocol: objects, requests and responses as bytes."""
